/** The ports' promises, kept by the AWS home on ministack with IAM on. */
import { afterAll, beforeAll, describe } from 'vitest';
import type { Identity } from '../../../domain/ports.ts';
import { type AwsMachine, openAws } from '../../../infra/aws/machine.ts';
import { awsRows } from '../../../infra/aws/rows.ts';
import { blobPromises } from '../../../infra/contract/blobs.ts';
import { busPromises } from '../../../infra/contract/bus.ts';
import { eventPromises } from '../../../infra/contract/events.ts';
import { identityPromises } from '../../../infra/contract/identity.ts';
import { keyRingPromises } from '../../../infra/contract/key-ring.ts';
import { queuePromises } from '../../../infra/contract/queue.ts';
import { recordPromises } from '../../../infra/contract/records.ts';
import { rowPromises } from '../../../infra/contract/rows.ts';
import { homeInContract } from '../../../infra/contract/rows-home.ts';
import { secretPromises } from '../../../infra/contract/secrets.ts';
import { makeStage, ministackClients } from '../../support/aws-resources.ts';
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
  let machine: AwsMachine;
  let prefix: string;
  const clients = ministackClients();
  beforeAll(async () => {
    const environment = await makeStage(clients);
    prefix = environment.TABLE_PREFIX;
    machine = openAws(environment);
  });
  afterAll(() => {
    machine.close();
    clients.close();
  });

  describeContract('events', eventPromises, () => {
    const { events, relay } = machine;
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
  describeContract('rows', rowPromises, () => machine.rows);
  describeContract('rows whose cursors rest in the rows of their streams', rowPromises, () =>
    awsRows(clients.dynamo, prefix, homeInContract),
  );
  describeContract('records', recordPromises, () => machine.records);
  describeContract('blobs', blobPromises, () => machine.blobs);
  describeContract('queue', queuePromises, () => machine.queue);
  describeContract('bus', busPromises, () => machine);
  describeContract('identity', identityPromises, () => signingUpInTurn(machine.identity));
  describeContract('key ring', keyRingPromises, () => machine.keys);
  describeContract('secrets', secretPromises, () => machine.secrets);
});
