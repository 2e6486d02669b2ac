/** Records beside a construct why it breaks a linter rule. cdk-nag and checkov read these reasons. */
import { CfnResource, Stack, Validations } from 'aws-cdk-lib';
import type { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { flattenCfnReference } from 'cdk-nag/lib/utils/flatten-cfn-reference.js';
import type { IConstruct } from 'constructs';

/** Rule id → why the construct breaks the rule. `CKV_…` are checkov rules, all others cdk-nag rules. */
export type Reasons = { [rule: string]: string };

/** cdk-nag applies a reason to the construct and its children, checkov to the resource of the construct only. */
export function acknowledge(construct: IConstruct, reasons: Reasons): void {
  for (const [id, reason] of Object.entries(reasons)) {
    if (id.startsWith('CKV')) skip(construct, id, reason);
    else Validations.of(construct).acknowledge({ id, reason });
  }
}

const wildcardReasons = new WeakMap<PolicyStatement, string>();

/** Returns `statement`, with the reason why its resources contain a `*`. */
export function withWildcard(statement: PolicyStatement, reason: string): PolicyStatement {
  wildcardReasons.set(statement, reason);
  return statement;
}

const statementsOf = new WeakMap<IConstruct, PolicyStatement[]>();

/** Registers the statements of `role` for `acknowledgeWildcards`. cdk-nag still reports a `*` without a reason. */
export function registerWildcards(role: IConstruct, statements: PolicyStatement[]): void {
  statementsOf.set(role, statements);
}

/**
 * Passes the reasons given with `withWildcard` to cdk-nag, one per resource. Call it after CDK has resolved references
 * between stacks, because cdk-nag matches the resolved names.
 */
export function acknowledgeWildcards(app: IConstruct): void {
  for (const role of app.node.findAll()) {
    for (const statement of statementsOf.get(role) ?? []) {
      const reason = wildcardReasons.get(statement);
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
    throw new Error(`${construct.node.path} has no resource. Acknowledge ${id} on a construct with a default child.`);
  const skips: { id: string; comment: string }[] = resource.getMetadata('checkov')?.skip ?? [];
  resource.addMetadata('checkov', { skip: [...skips, { id, comment }] });
}
