/** The AWS home as one machine. Nothing is asked of AWS, and no client made, before it is needed. */
import { randomBytes } from 'node:crypto';
import type { Blobs, Bus, Identity, KeyRing, Platform, Push, Queue, Secrets } from '../../domain/ports.ts';
import type { SendAdminCommand } from './admin-commands.ts';
import { required } from './environment.ts';
import { awsEventStore, awsStreamShares, type StreamShares } from './event-store.ts';
import type { ExportLink } from './export-links.ts';
import { lazily } from './lazily.ts';
import { type Clients, lazyClients } from './lazy-clients.ts';
import { awsLedgerProgress, type LedgerProgress } from './ledger-progress.ts';
import { awsLog } from './log.ts';
import { awsRecords } from './records.ts';
import { awsRelay, type Relay } from './relay.ts';
import { awsRows } from './rows.ts';

export type AwsPlatform = Platform & {
  relay: Relay;
  /** A link to an export, in S3 itself. */
  exportLink: ExportLink;
  /** Has the account's live sockets served soon. */
  wakeLive(account: string): Promise<void>;
  /** What the reconcile needs besides: to read side by side, to read what the relay writes, and to have others do what it may not. */
  streamShares: StreamShares;
  ledger: LedgerProgress;
  sendCommand: SendAdminCommand;
  /** Closes all connections. */
  close(): void;
};

/**
 * The machine of a stage, told about in the variables of `AwsEnvironment`; region, credentials and endpoint are the SDK's own. `clients`
 * are closed with it.
 */
export function openAws(
  env: { [name: string]: string | undefined } = process.env,
  clients: Clients = lazyClients(env),
): AwsPlatform {
  const told = (name: Parameters<typeof required>[1]) => () => required(env, name);
  const { dynamo } = clients;
  const bucket = told('DATA_BUCKET');
  const prefix = required(env, 'TABLE_PREFIX');
  const events = awsEventStore(dynamo, prefix);
  const live = lazily<Bus & { wakeLive(account: string): Promise<void> }>(
    { publish: true, wakeLive: true },
    async () => {
      const [{ awsBus, awsWakeLive }, client] = await Promise.all([import('./bus.ts'), clients.events()]);
      const name = told('EVENT_BUS_NAME');
      return { ...awsBus(() => client, name), wakeLive: awsWakeLive(() => client, name) };
    },
  );
  const bus: Bus = { publish: live.publish };
  const now = Date.now;
  return {
    events,
    rows: awsRows(dynamo, prefix),
    records: awsRecords(dynamo, prefix, now),
    blobs: lazily<Blobs>({ put: true, get: true, size: true, list: true, delete: true }, async () => {
      const [{ awsBlobs }, client] = await Promise.all([import('./blobs.ts'), clients.s3()]);
      return awsBlobs(() => client, bucket);
    }),
    queue: lazily<Queue>(
      { send: true, receive: true, ack: true, extend: true, deadLetters: true, redrive: true },
      async () => {
        const [{ awsQueue }, client] = await Promise.all([import('./queue.ts'), clients.sqs()]);
        return awsQueue(
          () => client,
          (queue) => required(env, queue === 'job' ? 'JOB_QUEUE_URL' : 'DATA_QUEUE_URL'),
        );
      },
    ),
    bus,
    push: lazily<Push>({ send: true, close: true }, async () => {
      const [{ awsPush }, client] = await Promise.all([import('./push.ts'), clients.sockets()]);
      return awsPush(() => client);
    }),
    identity: lazily<Identity>({ register: true, signIn: true }, async () => {
      const [{ awsIdentity }, client] = await Promise.all([import('./identity.ts'), clients.cognito()]);
      return awsIdentity(
        () => client,
        () => ({
          poolId: required(env, 'USER_POOL_ID'),
          clientId: required(env, 'USER_POOL_CLIENT_ID'),
          // Only the word false turns it off: a slip here would let anyone register with somebody else's address.
          confirm: env.CONFIRM_EMAIL !== 'false',
        }),
      );
    }),
    keys: lazily<KeyRing>(
      { accountKey: true, subjectKey: true, destroySubject: true, destroyAccount: true, sign: true, publicKey: true },
      async () => {
        const [{ awsKeyRing }, client] = await Promise.all([import('./key-ring.ts'), clients.kms()]);
        return awsKeyRing(() => client, dynamo, prefix, {
          keyId: told('KEY_ID'),
          signingKeyId: told('SIGNING_KEY_ID'),
        });
      },
    ),
    secrets: lazily<Secrets>({ get: true }, async () => {
      const [{ awsSecrets }, client] = await Promise.all([import('./secrets.ts'), clients.ssm()]);
      return awsSecrets(() => client, told('STAGE'), now);
    }),
    now,
    random: (bytes) => new Uint8Array(randomBytes(bytes)),
    log: awsLog(told('STAGE')),
    wakeLive: live.wakeLive,
    exportLink: async (key, answer) => {
      const [{ exportLinks }, client] = await Promise.all([import('./export-links.ts'), clients.links()]);
      return exportLinks(() => client, bucket)(key, answer);
    },
    relay: awsRelay(dynamo, prefix, events, bus),
    streamShares: awsStreamShares(dynamo, prefix),
    ledger: awsLedgerProgress(dynamo, prefix),
    sendCommand: async (name, sendCommand) => {
      const [{ awsAdminCommands }, client] = await Promise.all([import('./admin-commands.ts'), clients.lambda()]);
      return awsAdminCommands(() => client)(name, sendCommand);
    },
    close: clients.close,
  };
}
