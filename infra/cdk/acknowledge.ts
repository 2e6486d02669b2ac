/** Where a judge's rule does not hold, and why: said beside the construct, read by cdk-nag, checkov and cfn-lint alike. */
import { CfnResource, Stack, Validations } from 'aws-cdk-lib';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference.js';
import type { IConstruct } from 'constructs';

/** A rule's id (`AwsSolutions-…` and `Serverless-…` are cdk-nag's, `CKV_…` checkov's) and why it is not followed here. */
export type Reasons = { [rule: string]: string };

/** Of the construct and what is below it for cdk-nag, of its own resource for checkov. */
export function acknowledge(construct: IConstruct, reasons: Reasons): void {
  for (const [id, reason] of Object.entries(reasons)) {
    if (id.startsWith('CKV')) skip(construct, id, reason);
    else Validations.of(construct).acknowledge({ id, reason });
  }
}

const whyAnyOf = new WeakMap<PolicyStatement, string>();

/** The statement, with the reason why its resources hold a `*`. */
export function anyOf(statement: PolicyStatement, reason: string): PolicyStatement {
  whyAnyOf.set(statement, reason);
  return statement;
}

const statementsOf = new WeakMap<IConstruct, PolicyStatement[]>();

/** Those reasons are the role's: a `*` without a reason is still found. */
export function acknowledgeAnyOf(role: IConstruct, statements: PolicyStatement[]): void {
  statementsOf.set(role, statements);
}

/** Tells cdk-nag the reasons given with `anyOf`, resource by resource, once references between stacks have got the form it sees. */
export function settleAnyOf(app: IConstruct): void {
  for (const role of app.node.findAll()) {
    for (const statement of statementsOf.get(role) ?? []) {
      const reason = whyAnyOf.get(statement);
      if (reason === undefined) continue;
      for (const resource of statement.resources) {
        const name = flattenCfnReference(Stack.of(role).resolve(resource));
        if (name.includes('*')) acknowledge(role, { [`AwsSolutions-IAM5[Resource::${name}]`]: reason });
      }
    }
  }
}

function skip(construct: IConstruct, id: string, comment: string): void {
  const resource = CfnResource.isCfnResource(construct) ? construct : construct.node.defaultChild;
  if (!CfnResource.isCfnResource(resource))
    throw new Error(`${construct.node.path} is no resource that ${id} could be acknowledged for`);
  const skips: { id: string; comment: string }[] = resource.getMetadata('checkov')?.skip ?? [];
  resource.addMetadata('checkov', { skip: [...skips, { id, comment }] });
}
