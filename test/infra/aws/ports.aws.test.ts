/** The ports' promises, kept by the AWS home on ministack with IAM on. */
import { afterAll, beforeAll, describe } from 'vitest';
import { awsBlobs } from '../../../infra/aws/blobs.ts';
import { awsBus } from '../../../infra/aws/bus.ts';
import type { AwsClients } from '../../../infra/aws/clients.ts';
import type { AwsEnvironment } from '../../../infra/aws/environment.ts';
import { awsEventStore } from '../../../infra/aws/event-store.ts';
import { awsIdentity } from '../../../infra/aws/identity.ts';
import { awsQueue } from '../../../infra/aws/queue.ts';
import { awsRecords } from '../../../infra/aws/records.ts';
import { awsRelay } from '../../../infra/aws/relay.ts';
import { awsRows } from '../../../infra/aws/rows.ts';
import { awsSecrets } from '../../../infra/aws/secrets.ts';
import { blobPromises } from '../../../infra/contract/blobs.ts';
import { busPromises } from '../../../infra/contract/bus.ts';
import { eventPromises } from '../../../infra/contract/events.ts';
import { identityPromises } from '../../../infra/contract/identity.ts';
import { queuePromises } from '../../../infra/contract/queue.ts';
import { recordPromises } from '../../../infra/contract/records.ts';
import { rowPromises } from '../../../infra/contract/rows.ts';
import { secretPromises } from '../../../infra/contract/secrets.ts';
import { makeStage, ministackClients } from '../../support/aws-resources.ts';
import { describeContract } from '../../support/contract.ts';

describe('the AWS home', () => {
  let clients: AwsClients;
  let env: AwsEnvironment;
  beforeAll(async () => {
    clients = ministackClients();
    env = await makeStage(clients);
  });
  afterAll(() => clients.close());

  const queueUrl = (name: 'job' | 'data') => (name === 'job' ? env.JOB_QUEUE_URL : env.DATA_QUEUE_URL);
  const queue = () => awsQueue(clients.sqs, queueUrl);
  const bus = () => awsBus(clients.events, () => env.EVENT_BUS_NAME);

  describeContract('events', eventPromises, () => {
    const events = awsEventStore(clients.dynamo, env.TABLE_PREFIX);
    const relay = awsRelay(clients.dynamo, env.TABLE_PREFIX, events, bus());
    return {
      ...events,
      async append(commit) {
        const outcome = await events.append(commit);
        // What the stream of the table does when deployed.
        void relay.sequence([commit]);
        return outcome;
      },
    };
  });
  describeContract('rows', rowPromises, () => awsRows(clients.dynamo, env.TABLE_PREFIX));
  describeContract('records', recordPromises, () => awsRecords(clients.dynamo, env.TABLE_PREFIX, Date.now));
  describeContract('blobs', blobPromises, () => awsBlobs(clients.s3, () => env.DATA_BUCKET));
  describeContract('queue', queuePromises, queue);
  describeContract('bus', busPromises, () => ({ bus: bus(), queue: queue() }));
  describeContract('identity', identityPromises, () =>
    awsIdentity(clients.cognito, () => ({ poolId: env.USER_POOL_ID, clientId: env.USER_POOL_CLIENT_ID, confirm: false })),
  );
  describeContract('secrets', secretPromises, () => awsSecrets(clients.ssm, () => env.STAGE, Date.now));
});
