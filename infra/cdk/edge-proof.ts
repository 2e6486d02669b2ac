/** A header value by which the API recognises requests from CloudFront. */
import { CfnOutput, Fn, type Stack } from 'aws-cdk-lib';

const output = 'EdgeProof';

/** Outputs the random part of the core stack id. Nobody outside of the AWS account can read it. */
export function makeEdgeProof(core: Stack): void {
  new CfnOutput(core, output, { value: Fn.select(2, Fn.split('/', core.stackId)) });
}

export function edgeProof(core: Stack): string {
  return Fn.getStackOutput(core.stackName, output, core.region).toString();
}
