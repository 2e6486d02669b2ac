/** The ports' promises, kept by the AWS home on ministack with IAM on. */
import { afterAll, beforeAll, describe } from 'vitest';
import type { Identity } from '../../../domain/ports.ts';
import { type AwsPlatform, openAws } from '../../../infra/aws/platform.ts';
import { blobPromises } from '../../contract/blobs.ts';
import { busPromises } from '../../contract/bus.ts';
import { eventPromises } from '../../contract/events.ts';
import { identityPromises } from '../../contract/identity.ts';
import { keyRingPromises } from '../../contract/key-ring.ts';
import { queuePromises } from '../../contract/queue.ts';
import { recordPromises } from '../../contract/records.ts';
import { rowPromises } from '../../contract/rows.ts';
import { secretPromises } from '../../contract/secrets.ts';
import { makeStage, ministackClients } from '../../emulator/aws-resources.ts';
import { describeContract } from '../../support/contract.ts';

/** The emulator looks whether a name is free, and takes it later: two threads of it may both find it free. Cognito takes it in one step. */
function signingUpInTurn(identity: Identity): Identity {
  let before: Promise<unknown> = Promise.resolve();
  return {
    ...identity,
    register(registration) {
      const turn = before.then(() => identity.register(registration));
      before = turn.catch(() => {});
      return turn;
    },
  };
}

describe('the AWS home', () => {
  let platform: AwsPlatform;
  const clients = ministackClients();
  beforeAll(async () => {
    const environment = await makeStage(clients);
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
        // What the stream of the table does when deployed.
        void relay.sequence([commit]);
        return outcome;
      },
    };
  });
  describeContract('rows', rowPromises, () => platform.rows);
  describeContract('records', recordPromises, () => platform.records);
  describeContract('blobs', blobPromises, () => platform.blobs);
  describeContract('queue', queuePromises, () => platform.queue);
  describeContract('bus', busPromises, () => platform);
  describeContract('identity', identityPromises, () => signingUpInTurn(platform.identity));
  describeContract('key ring', keyRingPromises, () => platform.keys);
  describeContract('secrets', secretPromises, () => platform.secrets);
});
