/** What each port needs of AWS, as statements for the role of a function that uses it. No statement changes or deletes in `activity`. */
import { ArnFormat, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { SecretName, Table } from '../../domain/ports.ts';
import { anyOf } from './acknowledge.ts';
import type { AuthStack } from './auth-stack.ts';
import type { CoreStack, TableName } from './core-stack.ts';
import { functionName, parameterName, type Stage } from './stage.ts';

const readItems = ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'];
const writeItems = ['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'];

const readModels = ['users', 'accounts', 'sources', 'jobs', 'runs', 'files', 'analytics-aggregates'] satisfies Table[];

const objects = 'Objects are named by ids and hashes, made as they are written';

function allow(actions: string[], resources: string[]): PolicyStatement {
  return new PolicyStatement({ actions, resources });
}

function tableArns(core: CoreStack, ...names: TableName[]): string[] {
  return names.map((name) => core.tables[name].tableArn);
}

/** Loads streams; large commits rest in the bucket. */
export function loadEvents(core: CoreStack): PolicyStatement[] {
  return [allow(readItems, tableArns(core, 'activity')), ...readBlobs(core)];
}

/** Every stream there is, for what is made anew from all of them. */
export function walkEvents(core: CoreStack): PolicyStatement[] {
  return [allow(['dynamodb:Scan'], tableArns(core, 'activity'))];
}

export function appendEvents(core: CoreStack): PolicyStatement[] {
  return [
    allow([...readItems, 'dynamodb:PutItem'], tableArns(core, 'activity')),
    ...readBlobs(core),
    ...writeBlobs(core),
  ];
}

export function readLedger(core: CoreStack): PolicyStatement[] {
  return [allow(readItems, tableArns(core, 'ledger'))];
}

/** The reconcile's: to read how far everything has come, and to keep where it is itself. It mends nothing with its own hands. */
export function compareAll(core: CoreStack): PolicyStatement[] {
  const records = (actions: string[], ...names: string[]) =>
    new PolicyStatement({
      actions,
      resources: tableArns(core, 'records'),
      conditions: { 'ForAllValues:StringEquals': { 'dynamodb:LeadingKeys': names } },
    });
  return [
    allow(['dynamodb:Scan', 'dynamodb:BatchGetItem'], tableArns(core, 'activity')),
    allow(['dynamodb:Query', 'dynamodb:BatchGetItem'], tableArns(core, 'ledger')),
    allow(['dynamodb:BatchGetItem'], tableArns(core, ...readModels, 'cursors')),
    // How far a line was read is in the newest of its runs.
    allow(['dynamodb:Query'], tableArns(core, 'runs')),
    records(['dynamodb:Query', 'dynamodb:BatchGetItem'], 'generations', 'parked'),
    records(['dynamodb:GetItem', 'dynamodb:PutItem'], 'reconcile'),
  ];
}

/** Functions of the stage, by their names, which may be asked to do something. */
export function order(stack: Stack, stage: Stage, ...entries: string[]): PolicyStatement[] {
  const arns = entries.map((entry) =>
    stack.formatArn({
      service: 'lambda',
      resource: 'function',
      resourceName: functionName(stage, entry),
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    }),
  );
  return [allow(['lambda:InvokeFunction'], arns)];
}

/** The relay's: entries are added, never changed. */
export function writeLedger(core: CoreStack): PolicyStatement[] {
  return [allow([...readItems, 'dynamodb:PutItem'], tableArns(core, 'ledger'))];
}

/** Includes the cursors: a client that waits for its own write reads them. */
export function readRows(core: CoreStack): PolicyStatement[] {
  return [allow(readItems, tableArns(core, ...readModels, 'cursors'))];
}

/** Also clears away what a rebuild has replaced. */
export function writeRows(core: CoreStack): PolicyStatement[] {
  return [
    allow([...readItems, ...writeItems, 'dynamodb:Scan', 'dynamodb:BatchWriteItem'], tableArns(core, ...readModels)),
    allow([...readItems, 'dynamodb:PutItem', 'dynamodb:BatchWriteItem'], tableArns(core, 'cursors')),
  ];
}

export function useRecords(core: CoreStack): PolicyStatement[] {
  return [
    allow(
      [...readItems, ...writeItems, 'dynamodb:BatchWriteItem', 'dynamodb:ConditionCheckItem'],
      tableArns(core, 'records'),
    ),
  ];
}

export function readBlobs(core: CoreStack): PolicyStatement[] {
  return [
    anyOf(allow(['s3:GetObject'], [core.bucket.arnForObjects('*')]), objects),
    allow(['s3:ListBucket'], [core.bucket.bucketArn]),
  ];
}

export function writeBlobs(core: CoreStack): PolicyStatement[] {
  return [anyOf(allow(['s3:PutObject', 's3:AbortMultipartUpload'], [core.bucket.arnForObjects('*')]), objects)];
}

/** Exports alone, for good: every version of them. */
export function deleteExports(core: CoreStack): PolicyStatement[] {
  return [
    anyOf(allow(['s3:DeleteObject', 's3:DeleteObjectVersion'], [core.bucket.arnForObjects('exports/*')]), objects),
    allow(['s3:ListBucketVersions'], [core.bucket.bucketArn]),
  ];
}

export function send(...queues: Queue[]): PolicyStatement[] {
  return [
    allow(
      ['sqs:SendMessage'],
      queues.map((queue) => queue.queueArn),
    ),
  ];
}

export function consume(queue: Queue): PolicyStatement[] {
  return [
    allow(
      ['sqs:ReceiveMessage', 'sqs:DeleteMessage', 'sqs:ChangeMessageVisibility', 'sqs:GetQueueAttributes'],
      [queue.queueArn],
    ),
  ];
}

export function publish(core: CoreStack): PolicyStatement[] {
  return [allow(['events:PutEvents'], [core.bus.eventBusArn])];
}

/** Wraps and unwraps the keys of accounts and subjects; a destroyed one is replaced by a tombstone, not deleted. */
export function useKeys(core: CoreStack): PolicyStatement[] {
  return [
    allow(['kms:Encrypt', 'kms:Decrypt'], [core.key.keyArn]),
    allow(['dynamodb:GetItem', 'dynamodb:PutItem'], tableArns(core, 'subject-keys')),
  ];
}

export function readSecrets(stack: Stack, stage: Stage, ...names: SecretName[]): PolicyStatement[] {
  const arns = names.map((name) =>
    Stack.of(stack).formatArn({ service: 'ssm', resource: `parameter${parameterName(stage, name)}` }),
  );
  return [allow(['ssm:GetParameter', 'ssm:GetParameters'], arns)];
}

/** Signing up needs no grant: Cognito takes it from anyone who knows the client's secret. */
export function identify(auth: AuthStack): PolicyStatement[] {
  const actions = ['DescribeUserPoolClient', 'AdminConfirmSignUp', 'AdminUpdateUserAttributes', 'AdminInitiateAuth'];
  return [
    allow(
      actions.map((action) => `cognito-idp:${action}`),
      [auth.pool.userPoolArn],
    ),
  ];
}

/** A mapping reads the stream as the function's role, and puts aside what it gives up on. ListStreams knows no resources. */
export function readStream(core: CoreStack): PolicyStatement[] {
  const stream = core.tables.activity.tableStreamArn;
  if (!stream) throw new Error('the table activity has no stream');
  return [
    allow(['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator'], [stream]),
    allow(['dynamodb:ListStreams'], ['*']),
    anyOf(
      allow(['s3:PutObject'], [core.failed.arnForObjects('aws/lambda/*')]),
      'Lambda names a batch that failed by mapping, shard and time',
    ),
    allow(['s3:ListBucket'], [core.failed.bucketArn]),
  ];
}
