/** Synthesizes the templates of a stage without bundling code. */
import { App, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import type { Route } from '../../../infra/cdk/backup-processors-stack.ts';
import { context, listbackup } from '../../../infra/cdk/listbackup.ts';
import { stage } from '../../../infra/cdk/stage.ts';
import type { StageOptions } from '../../../infra/cdk/stage-options.ts';

export const routes: Route[] = [
  { types: ['run.requested.v1', 'run.cancelled.v1'], queue: 'job' },
  { types: ['file.restored.v1'], queue: 'data' },
];

export type Resource = {
  Type: string;
  DeletionPolicy?: string;
  Properties: {
    TableName?: string;
    BucketName?: string;
    AssumeRolePolicyDocument?: unknown;
    Roles?: unknown[];
    StreamSpecification?: object;
    LifecycleConfiguration?: { Rules: object[] };
    PolicyDocument?: { Statement: Statement[] };
    ManagedPolicyArns?: unknown[];
    EventSourceArn?: unknown;
    DestinationConfig?: unknown;
    FunctionName?: unknown;
    RecursiveLoop?: unknown;
    VpcConfig?: unknown;
    Environment?: { Variables: { [name: string]: unknown } };
  };
};
export type Statement = {
  Effect: 'Allow' | 'Deny';
  Action: string | string[];
  Resource?: unknown;
  Principal?: unknown;
  Condition?: { [operator: string]: { [key: string]: unknown } };
};

type Options = { [option in keyof StageOptions]?: string };

/** Test files share each synthesized stage, because one takes most of a second. Tests must not change it. */
const known = new Map<string, ReturnType<typeof synthesizeNew>>();

/** `options`: the text of stage options, as an operator sets them. */
export function synthesize(name: string, options: Options = {}): ReturnType<typeof synthesizeNew> {
  const key = JSON.stringify([name, options]);
  const made = known.get(key) ?? synthesizeNew(name, options);
  known.set(key, made);
  return made;
}

function synthesizeNew(name: string, options: Options) {
  const app = new App({ context: { ...context, 'aws:cdk:bundling-stacks': [] } });
  const stacks = listbackup(
    app,
    stage(name, (option) => options[option]),
    routes,
  );
  const templates = Object.fromEntries(
    Object.entries(stacks).map(([group, stack]) => [group, Template.fromStack(stack)]),
  ) as {
    [group in keyof typeof stacks]: Template;
  };
  // Includes stacks that `listbackup` does not return, like the replicas.
  const all = app.node.findAll().filter((each) => Stack.isStack(each));
  const resources = all.flatMap((stack) => Object.entries<Resource>(Template.fromStack(stack).toJSON().Resources));
  return {
    templates,
    names: all.map(({ node }) => node.id),
    stackNames: all.map((each) => (each as Stack).stackName),
    stack: (id: string) => Template.fromStack(all.find(({ node }) => node.id === id) ?? failed(id)),
    /** The ids of the stacks that must be deployed before `id`. */
    before: (id: string) =>
      (all.find(({ node }) => node.id === id) ?? failed(id)).dependencies.map(({ node }) => node.id),
    /** Every resource of every stack, by its id. */
    ofEvery: () => resources,
    ofType: (type: string) => resources.filter(([, resource]) => resource.Type === type),
  };
}

function failed(id: string): never {
  throw new Error(`The app has no stack ${id}.`);
}
