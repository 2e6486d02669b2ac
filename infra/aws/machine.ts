/** The AWS home as one machine. Nothing is asked of AWS, and no client made, before it is needed. */
import { randomBytes } from 'node:crypto';
import type { Machine } from '../../domain/ports.ts';
import { homesOf } from '../../projections/homes.ts';
import { projections } from '../../projections/index.ts';
import { awsBlobs } from './blobs.ts';
import { awsBus, awsWakeLive } from './bus.ts';
import { type AwsClients, awsClients } from './clients.ts';
import { required } from './environment.ts';
import { awsEventStore, awsStreamShares, type StreamShares } from './event-store.ts';
import { awsIdentity } from './identity.ts';
import { awsKeyRing } from './key-ring.ts';
import { awsLedgerStanding, type LedgerStanding } from './ledger-standing.ts';
import { awsLog } from './log.ts';
import { awsOrders, type SendOrder } from './orders.ts';
import { awsPush } from './push.ts';
import { awsQueue } from './queue.ts';
import { awsRecords } from './records.ts';
import { awsRelay, type Relay } from './relay.ts';
import { awsRows } from './rows.ts';
import { awsSecrets } from './secrets.ts';

export type AwsMachine = Machine & {
  relay: Relay;
  /** Has the account's live sockets served soon. */
  wakeLive(account: string): Promise<void>;
  /** What the reconcile needs besides: to read side by side, to read what the relay writes, and to have others do what it may not. */
  streamShares: StreamShares;
  ledger: LedgerStanding;
  order: SendOrder;
  /** Closes all connections. */
  close(): void;
};

const homes = homesOf(projections);

/**
 * The machine of a stage, told about in the variables of `AwsEnvironment`; region, credentials and endpoint are the SDK's own. `clients`
 * are closed with it.
 */
export function openAws(env: { [name: string]: string | undefined } = process.env, clients: AwsClients = awsClients(env)): AwsMachine {
  const told = (name: Parameters<typeof required>[1]) => () => required(env, name);
  const { dynamo } = clients;
  const prefix = required(env, 'TABLE_PREFIX');
  const events = awsEventStore(dynamo, prefix);
  const bus = awsBus(clients.events, told('EVENT_BUS_NAME'));
  const now = Date.now;
  return {
    events,
    rows: awsRows(dynamo, prefix, homes),
    records: awsRecords(dynamo, prefix, now),
    blobs: awsBlobs(clients.s3, told('DATA_BUCKET')),
    queue: awsQueue(clients.sqs, (queue) => required(env, queue === 'job' ? 'JOB_QUEUE_URL' : 'DATA_QUEUE_URL')),
    bus,
    push: awsPush(clients.sockets),
    identity: awsIdentity(clients.cognito, () => ({
      poolId: required(env, 'USER_POOL_ID'),
      clientId: required(env, 'USER_POOL_CLIENT_ID'),
      // Only the word false turns it off: a slip here would let anyone register with somebody else's address.
      confirm: env.CONFIRM_EMAIL !== 'false',
    })),
    keys: awsKeyRing(clients.kms, dynamo, prefix, { keyId: told('KEY_ID'), signingKeyId: told('SIGNING_KEY_ID') }),
    secrets: awsSecrets(clients.ssm, told('STAGE'), now),
    now,
    random: (bytes) => new Uint8Array(randomBytes(bytes)),
    log: awsLog(told('STAGE')),
    wakeLive: awsWakeLive(clients.events, told('EVENT_BUS_NAME')),
    relay: awsRelay(dynamo, prefix, events, bus),
    streamShares: awsStreamShares(dynamo, prefix),
    ledger: awsLedgerStanding(dynamo, prefix),
    order: awsOrders(clients.lambda),
    close: clients.close,
  };
}
