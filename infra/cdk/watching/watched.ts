/**
 * Finds the resources to watch in the CDK app, so that new ones are watched without further code. It collects names,
 * not references, so that no stack depends on another.
 */
import { CfnGlobalTable } from 'aws-cdk-lib/aws-dynamodb';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnQueue } from 'aws-cdk-lib/aws-sqs';
import type { IConstruct } from 'constructs';

export type Watched = {
  functions: { name: string; timeoutSeconds: number }[];
  queues: { name: string; deadLetters: boolean }[];
  tables: string[];
};

/** Throws for a resource without an explicit name. */
export function findWatched(app: IConstruct): Watched {
  const all = app.node.findAll();
  return {
    functions: all.filter(CfnFunction.isCfnFunction).map((resource) => ({
      name: named(resource, resource.functionName),
      timeoutSeconds: resource.timeout ?? 3,
    })),
    queues: all.filter(CfnQueue.isCfnQueue).map((resource) => {
      const name = named(resource, resource.queueName);
      return { name, deadLetters: name.includes('-dlq-') };
    }),
    tables: all.filter(CfnGlobalTable.isCfnGlobalTable).map((resource) => named(resource, resource.tableName)),
  };
}

function named(construct: IConstruct, name: string | undefined): string {
  if (!name) throw new Error(`${construct.node.path} needs a name. Alarms and dashboards find resources by name.`);
  return name;
}
