/** IAM statements for each port that a function uses. No statement allows an update or delete in `activity`. */
import { ArnFormat, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Queue } from 'aws-cdk-lib/aws-sqs';
import type { SecretName, Table } from '../../domain/ports.ts';
import { withWildcard } from './acknowledge.ts';
import type { AuthStack } from './auth-stack.ts';
import type { CoreStack, TableName } from './core-stack.ts';
import { functionName, parameterName, type Stage } from './stage.ts';

const readItems = ['dynamodb:GetItem', 'dynamodb:BatchGetItem', 'dynamodb:Query'];
const writeItems = ['dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem'];

const readModels = ['users', 'accounts', 'sources', 'jobs', 'runs', 'files', 'analytics-aggregates'] satisfies Table[];

const objects = 'Object names contain ids and hashes that are created at run time';

function allow(actions: string[], resources: string[]): PolicyStatement {
  return new PolicyStatement({ actions, resources });
}

function tableArns(core: CoreStack, ...names: TableName[]): string[] {
  return names.map((name) => core.tables[name].tableArn);
}

/** Loads streams. Large commits are in the bucket. */
export function loadEvents(core: CoreStack): PolicyStatement[] {
  return [allow(readItems, tableArns(core, 'activity')), ...readBlobs(core)];
}

/** Scans every stream, for a rebuild. */
export function scanEvents(core: CoreStack): PolicyStatement[] {
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

/** For the reconcile: it reads the marks and the cursors of all consumers, and writes only its own checkpoints. */
export function compareAll(core: CoreStack): PolicyStatement[] {
  const records = (actions: string[], ...names: string[]) =>
    new PolicyStatement({
      actions,
      resources: tableArns(core, 'records'),
      conditions: { 'ForAllValues:StringLike': { 'dynamodb:LeadingKeys': names } },
    });
  return [
    allow(['dynamodb:Scan', 'dynamodb:Query', 'dynamodb:BatchGetItem'], tableArns(core, 'activity')),
    allow(['dynamodb:Query', 'dynamodb:BatchGetItem'], tableArns(core, 'ledger')),
    allow(['dynamodb:BatchGetItem'], tableArns(core, 'cursors')),
    records(['dynamodb:Query', 'dynamodb:BatchGetItem'], 'generations', 'parked', 'reconcile', 'news/*'),
    records(['dynamodb:GetItem', 'dynamodb:PutItem'], 'reconcile'),
  ];
}

/** Invokes functions of the stage, given by name. */
export function invoke(stack: Stack, stage: Stage, ...entries: string[]): PolicyStatement[] {
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

/** For the relay: it adds entries and never changes one. */
export function writeLedger(core: CoreStack): PolicyStatement[] {
  return [allow([...readItems, 'dynamodb:PutItem'], tableArns(core, 'ledger'))];
}

/** Includes the cursors, because a read that waits for its own write compares them. */
export function readRows(core: CoreStack): PolicyStatement[] {
  return [allow(readItems, tableArns(core, ...readModels, 'cursors'))];
}

/** Includes deleting the rows that a rebuild replaced. */
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
    withWildcard(allow(['s3:GetObject'], [core.bucket.arnForObjects('*')]), objects),
    allow(['s3:ListBucket'], [core.bucket.bucketArn]),
  ];
}

export function writeBlobs(core: CoreStack): PolicyStatement[] {
  return [
    withWildcard(
      allow(
        ['s3:PutObject', 's3:AbortMultipartUpload', 's3:ListMultipartUploadParts'],
        [core.bucket.arnForObjects('*')],
      ),
      objects,
    ),
  ];
}

/** Deletes every version of exports and of working blobs of runs, and no other object. */
export function deleteTemporaryBlobs(core: CoreStack): PolicyStatement[] {
  const arns = ['exports/*', 'work/*'].map((keys) => core.bucket.arnForObjects(keys));
  return [
    withWildcard(allow(['s3:DeleteObject', 's3:DeleteObjectVersion'], arns), objects),
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

/** Wraps and unwraps keys, and writes them in both stores. Replaces nothing by deletion. */
export function useKeys(core: CoreStack): PolicyStatement[] {
  return [
    allow(['kms:Encrypt', 'kms:Decrypt'], [core.key.keyArn]),
    allow(['dynamodb:GetItem', 'dynamodb:PutItem'], tableArns(core, 'subject-keys')),
    withWildcard(allow(['s3:GetObject', 's3:PutObject'], [core.keys.arnForObjects('keys/*')]), objects),
    allow(['s3:ListBucket'], [core.keys.bucketArn]),
  ];
}

/** For the sweeper: lists all keys, and deletes every version of a destroyed one. */
export function destroyKeys(core: CoreStack): PolicyStatement[] {
  return [
    allow(['dynamodb:Scan'], tableArns(core, 'subject-keys')),
    withWildcard(allow(['s3:DeleteObject', 's3:DeleteObjectVersion'], [core.keys.arnForObjects('keys/*')]), objects),
    allow(['s3:ListBucketVersions'], [core.keys.bucketArn]),
  ];
}

export function readSecrets(stack: Stack, stage: Stage, ...names: SecretName[]): PolicyStatement[] {
  const arns = names.map((name) =>
    Stack.of(stack).formatArn({ service: 'ssm', resource: `parameter${parameterName(stage, name)}` }),
  );
  return [allow(['ssm:GetParameter', 'ssm:GetParameters'], arns)];
}

/** Sign-up needs no grant: Cognito accepts it with the client secret. */
export function identify(auth: AuthStack): PolicyStatement[] {
  const actions = ['DescribeUserPoolClient', 'AdminConfirmSignUp', 'AdminUpdateUserAttributes', 'AdminInitiateAuth'];
  return [
    allow(
      actions.map((action) => `cognito-idp:${action}`),
      [auth.pool.userPoolArn],
    ),
  ];
}

/** The mapping reads the stream and writes failed batches with the function's role. ListStreams accepts no resource. */
export function readStream(core: CoreStack): PolicyStatement[] {
  const stream = core.tables.activity.tableStreamArn;
  if (!stream) throw new Error('The table activity has no stream. Set `stream` in infra/aws/tables.ts.');
  return [
    allow(['dynamodb:DescribeStream', 'dynamodb:GetRecords', 'dynamodb:GetShardIterator'], [stream]),
    allow(['dynamodb:ListStreams'], ['*']),
    withWildcard(
      allow(['s3:PutObject'], [core.failed.arnForObjects('aws/lambda/*')]),
      'Lambda names a failed batch by mapping, shard and time',
    ),
    allow(['s3:ListBucket'], [core.failed.bucketArn]),
  ];
}
