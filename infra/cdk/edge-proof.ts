/** How the API knows that a request came by CloudFront. */
import { CfnOutput, Fn, type Stack } from 'aws-cdk-lib';

const output = 'EdgeProof';

/** What only CloudFront knows to say: part of the core stack's id, random and seen by nobody outside of the account. */
export function makeEdgeProof(core: Stack): void {
  new CfnOutput(core, output, { value: Fn.select(2, Fn.split('/', core.stackId)) });
}

export function edgeProof(core: Stack): string {
  return Fn.getStackOutput(core.stackName, output, core.region).toString();
}
