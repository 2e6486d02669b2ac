/** The contracts of the ports for the AWS adapters, on ministack with IAM enforced. */
import { afterAll, beforeAll, describe } from 'vitest';
import type { Identity } from '../../../domain/ports.ts';
import { type AwsPlatform, openAws } from '../../../infra/aws/platform.ts';
import { blobPromises } from '../../contract/blobs.ts';
import { busPromises } from '../../contract/bus.ts';
import { chunkPromises } from '../../contract/chunks.ts';
import { eventPromises } from '../../contract/events.ts';
import { identityPromises } from '../../contract/identity.ts';
import { keyRingPromises } from '../../contract/key-ring.ts';
import { queuePromises } from '../../contract/queue.ts';
import { recordPromises } from '../../contract/records.ts';
import { rowPromises } from '../../contract/rows.ts';
import { secretPromises } from '../../contract/secrets.ts';
import { taskPromises } from '../../contract/tasks.ts';
import { makeStage, ministackClients } from '../../emulator/aws-resources.ts';
import { awsKeys } from '../../support/aws-keys.ts';
import { describeContract } from '../../support/contract.ts';
import { runnerOn } from '../../support/task-runner.ts';

/** Serializes sign-ups, because the emulator, unlike Cognito, may accept two concurrent sign-ups with one name. */
function serialSignUps(identity: Identity): Identity {
  let previous: Promise<unknown> = Promise.resolve();
  return {
    ...identity,
    register(registration) {
      const turn = previous.then(() => identity.register(registration));
      previous = turn.catch(() => {});
      return turn;
    },
  };
}

describe('the AWS deployment', () => {
  let platform: AwsPlatform;
  let environment: Awaited<ReturnType<typeof makeStage>>;
  const clients = ministackClients();
  beforeAll(async () => {
    environment = await makeStage(clients);
    platform = openAws(environment);
  });
  afterAll(() => {
    platform.close();
    clients.close();
  });

  describeContract('events', eventPromises, () => {
    const { events, relay } = platform;
    return {
      ...events,
      async append(commit) {
        const outcome = await events.append(commit);
        // In the deployed app, the stream of the table triggers the relay.
        void relay.sequence([commit]);
        return outcome;
      },
    };
  });
  describeContract('rows', rowPromises, () => platform.rows);
  describeContract('records', recordPromises, () => platform.records);
  describeContract('tasks', taskPromises, () => runnerOn(platform.records));
  describeContract('blobs', blobPromises, () => platform.blobs);
  describeContract('chunk index', chunkPromises, () => platform.chunks);
  describeContract('queue', queuePromises, () => platform.queue);
  describeContract('bus', busPromises, () => platform);
  describeContract('identity', identityPromises, () => serialSignUps(platform.identity));
  describeContract('key ring', keyRingPromises, () => awsKeys(clients, environment));
  describeContract('secrets', secretPromises, () => platform.secrets);
});
