/** The resources of a stage for tests of the adapters. The SDK creates them on the emulator as the CDK app would. */
import { randomBytes } from 'node:crypto';
import { CreateUserPoolClientCommand, CreateUserPoolCommand } from '@aws-sdk/client-cognito-identity-provider';
import { CreateTableCommand } from '@aws-sdk/client-dynamodb';
import { CreateEventBusCommand, PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import { CreateKeyCommand } from '@aws-sdk/client-kms';
import { CreateBucketCommand, PutBucketVersioningCommand } from '@aws-sdk/client-s3';
import { CreateQueueCommand, GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import { busSource } from '../../infra/aws/bus.ts';
import type { AwsClients } from '../../infra/aws/clients.ts';
import type { AwsEnvironment } from '../../infra/aws/environment.ts';
import { type TableName, type TableShape, tables } from '../../infra/aws/tables.ts';
import { maxReceives } from '../../processors/index.ts';

type Environment = { [name: string]: string };

/**
 * Creates a stage with a unique name. Returns the environment that `openAws` reads. `emulator`: variables with the
 * address of the emulator.
 */
export async function makeStageAt(clients: AwsClients, emulator: Environment): Promise<AwsEnvironment & Environment> {
  const stage = `t${randomBytes(4).toString('hex')}`;
  const prefix = `listbackup-${stage}-`;
  const [, DATA_BUCKET, KEYS_BUCKET, job, data, pool, KEY_ID, SIGNING_KEY_ID] = await Promise.all([
    Promise.all((Object.keys(tables) as TableName[]).map((name) => makeTable(clients, prefix, name))),
    makeBucket(clients, `listbackup-data-${stage}`),
    makeBucket(clients, `listbackup-keys-${stage}`),
    makeQueue(clients, `listbackup-job-queue-${stage}`),
    makeQueue(clients, `listbackup-data-queue-${stage}`),
    makePool(clients, `listbackup-users-${stage}`),
    makeKey(clients, 'SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT'),
    makeKey(clients, 'ECC_NIST_P256', 'SIGN_VERIFY'),
    ...['jwt-secret', 'jwt-refresh-secret'].map((name) => makeSecret(clients, `/listbackup/${stage}/${name}`)),
  ]);
  return {
    ...emulator,
    STAGE: stage,
    TABLE_PREFIX: prefix,
    DATA_BUCKET,
    KEYS_BUCKET,
    JOB_QUEUE_URL: job.url,
    DATA_QUEUE_URL: data.url,
    EVENT_BUS_NAME: await makeBus(clients, `listbackup-events-${stage}`, job.arn),
    // No live sockets: they need the `$connect` function of a deployed app.
    LIVE_URL: 'ws://127.0.0.1:1',
    ...pool,
    KEY_ID,
    SIGNING_KEY_ID,
    CONFIRM_EMAIL: 'false',
    ACCELERATED_LINKS: 'false',
  };
}

async function makeTable(clients: AwsClients, prefix: string, name: TableName): Promise<void> {
  const shape: TableShape = tables[name];
  const keys = [shape.pk, shape.sk];
  await clients.dynamo().send(
    new CreateTableCommand({
      TableName: `${prefix}${name}`,
      BillingMode: 'PAY_PER_REQUEST',
      KeySchema: keys.map(([AttributeName], i) => ({ AttributeName, KeyType: i === 0 ? 'HASH' : 'RANGE' })),
      AttributeDefinitions: keys.map(([AttributeName, AttributeType]) => ({ AttributeName, AttributeType })),
      ...(shape.stream ? { StreamSpecification: { StreamEnabled: true, StreamViewType: 'KEYS_ONLY' } } : {}),
    }),
  );
}

async function makeBucket(clients: AwsClients, Bucket: string): Promise<string> {
  await clients.s3().send(new CreateBucketCommand({ Bucket }));
  await clients.s3().send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  return Bucket;
}

async function makeQueue(clients: AwsClients, name: string): Promise<{ url: string; arn: string }> {
  const create = async (QueueName: string, Attributes: Environment) => {
    const { QueueUrl: url = '' } = await clients.sqs().send(new CreateQueueCommand({ QueueName, Attributes }));
    const answer = await clients
      .sqs()
      .send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['QueueArn'] }));
    return { url, arn: answer.Attributes?.QueueArn ?? '' };
  };
  const dead = await create(`${name}-dlq`, {});
  return create(name, {
    RedrivePolicy: JSON.stringify({ deadLetterTargetArn: dead.arn, maxReceiveCount: maxReceives }),
  });
}

/** Creates a bus with the one route that the contract of the bus needs. */
async function makeBus(clients: AwsClients, EventBusName: string, jobQueueArn: string): Promise<string> {
  const events = clients.events();
  const Name = `${EventBusName}-contract`;
  await events.send(new CreateEventBusCommand({ Name: EventBusName }));
  await events.send(
    new PutRuleCommand({
      Name,
      EventBusName,
      EventPattern: JSON.stringify({ source: [busSource], 'detail-type': ['contract.tested.v1'] }),
    }),
  );
  await events.send(
    new PutTargetsCommand({
      Rule: Name,
      EventBusName,
      Targets: [{ Id: 'job', Arn: jobQueueArn, InputPath: '$.detail' }],
    }),
  );
  return EventBusName;
}

async function makePool(
  clients: AwsClients,
  name: string,
): Promise<Pick<AwsEnvironment, 'USER_POOL_ID' | 'USER_POOL_CLIENT_ID'>> {
  const cognito = clients.cognito();
  const customAttribute = (Name: string) => ({
    Name,
    AttributeDataType: 'String' as const,
    Mutable: false,
    StringAttributeConstraints: { MinLength: '1', MaxLength: '64' },
  });
  const pool = await cognito.send(
    new CreateUserPoolCommand({
      PoolName: name,
      Policies: {
        PasswordPolicy: {
          MinimumLength: 12,
          RequireLowercase: false,
          RequireNumbers: false,
          RequireSymbols: false,
          RequireUppercase: false,
        },
      },
      UsernameConfiguration: { CaseSensitive: false },
      AutoVerifiedAttributes: ['email'],
      Schema: [
        { Name: 'email', AttributeDataType: 'String', Required: true, Mutable: true },
        customAttribute('userId'),
        customAttribute('accountId'),
      ],
    }),
  );
  const USER_POOL_ID = pool.UserPool?.Id ?? '';
  const client = await cognito.send(
    new CreateUserPoolClientCommand({
      UserPoolId: USER_POOL_ID,
      ClientName: name,
      GenerateSecret: true,
      ExplicitAuthFlows: ['ALLOW_ADMIN_USER_PASSWORD_AUTH', 'ALLOW_REFRESH_TOKEN_AUTH'],
      PreventUserExistenceErrors: 'ENABLED',
    }),
  );
  return { USER_POOL_ID, USER_POOL_CLIENT_ID: client.UserPoolClient?.ClientId ?? '' };
}

async function makeKey(
  clients: AwsClients,
  KeySpec: 'SYMMETRIC_DEFAULT' | 'ECC_NIST_P256',
  KeyUsage: 'ENCRYPT_DECRYPT' | 'SIGN_VERIFY',
): Promise<string> {
  const answer = await clients.kms().send(new CreateKeyCommand({ KeySpec, KeyUsage }));
  return answer.KeyMetadata?.Arn ?? '';
}

async function makeSecret(clients: AwsClients, Name: string): Promise<void> {
  await clients
    .ssm()
    .send(new PutParameterCommand({ Name, Type: 'SecureString', Value: randomBytes(48).toString('base64url') }));
}
