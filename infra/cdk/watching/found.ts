/** What there is to watch: found in the app itself, so that whatever is added is watched too. By name, since a name makes no stack wait for another. */
import { CfnGlobalTable } from 'aws-cdk-lib/aws-dynamodb';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { CfnQueue } from 'aws-cdk-lib/aws-sqs';
import type { IConstruct } from 'constructs';

export type Found = {
  functions: { name: string; timeoutSeconds: number }[];
  queues: { name: string; deadLetters: boolean }[];
  tables: string[];
};

/** Throws for a resource that has no name of its own: it could not be told from others in a chart. */
export function whatThereIs(app: IConstruct): Found {
  const all = app.node.findAll();
  return {
    functions: all.filter(CfnFunction.isCfnFunction).map((each) => ({
      name: named(each, each.functionName),
      timeoutSeconds: each.timeout ?? 3,
    })),
    queues: all.filter(CfnQueue.isCfnQueue).map((each) => {
      const name = named(each, each.queueName);
      return { name, deadLetters: name.includes('-dlq-') };
    }),
    tables: all.filter(CfnGlobalTable.isCfnGlobalTable).map((each) => named(each, each.tableName)),
  };
}

function named(construct: IConstruct, name: string | undefined): string {
  if (!name) throw new Error(`${construct.node.path} needs a name, by which it is watched`);
  return name;
}
