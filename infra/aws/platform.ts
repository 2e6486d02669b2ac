/** All ports of the AWS deployment. It creates clients and calls AWS only when a port is used. */
import { randomBytes } from 'node:crypto';
import type { Blobs, Bus, Identity, KeyRing, Platform, Push, Queue, Secrets } from '../../domain/ports.ts';
import type { SendAdminCommand } from './admin-commands.ts';
import { awsChunkIndex } from './chunk-index.ts';
import { required } from './environment.ts';
import { awsEventStore, awsStreamShares, type StreamShares } from './event-store.ts';
import type { ExportLink } from './export-links.ts';
import { type Clients, lazyClients } from './lazy-clients.ts';
import { lazyPort } from './lazy-port.ts';
import { awsLedgerProgress, type LedgerProgress } from './ledger-progress.ts';
import { awsLog } from './log.ts';
import { awsNews, markingNews, type News } from './news.ts';
import { awsRecords } from './records.ts';
import { awsRelay, type Relay } from './relay.ts';
import { awsRows } from './rows.ts';

export type AwsPlatform = Platform & {
  relay: Relay;
  /** A signed link to an export in S3. */
  exportLink: ExportLink;
  /** Makes the pusher serve the account's live sockets soon. */
  notifyLive(account: string, runId?: string): Promise<void>;
  /** Needed by the reconcile alone: lists of streams, the relay's checkpoints, and commands to other functions. */
  news: News;
  streamShares: StreamShares;
  ledger: LedgerProgress;
  sendCommand: SendAdminCommand;
  /** Closes all connections. */
  close(): void;
};

/**
 * Opens the platform of the stage that the variables in `AwsEnvironment` describe. Region, credentials and endpoint
 * come from the SDK's usual sources. Closing the platform closes `clients`.
 */
export function openAws(
  env: { [name: string]: string | undefined } = process.env,
  clients: Clients = lazyClients(env),
): AwsPlatform {
  const variable = (name: Parameters<typeof required>[1]) => () => required(env, name);
  const { documents } = clients;
  const bucket = variable('DATA_BUCKET');
  const prefix = required(env, 'TABLE_PREFIX');
  const now = Date.now;
  const records = awsRecords(documents, prefix, now);
  const events = markingNews(awsEventStore(documents, prefix), records);
  const live = lazyPort<Bus & { notifyLive(account: string, runId?: string): Promise<void> }>(
    { publish: true, notifyLive: true },
    async () => {
      const [{ awsBus, awsNotifyLive }, client] = await Promise.all([import('./bus.ts'), clients.events()]);
      const name = variable('EVENT_BUS_NAME');
      return { ...awsBus(() => client, name), notifyLive: awsNotifyLive(() => client, name) };
    },
  );
  const bus: Bus = { publish: live.publish };
  const log = awsLog(variable('STAGE'));
  return {
    events,
    rows: awsRows(documents, prefix),
    records,
    chunks: awsChunkIndex(records),
    blobs: lazyPort<Blobs>(
      {
        ...{ put: true, get: true, size: true, list: true, delete: true },
        ...{ startUpload: true, putPart: true, completeUpload: true, abortUpload: true },
      },
      async () => {
        const [{ awsBlobs }, client] = await Promise.all([import('./blobs.ts'), clients.s3()]);
        return awsBlobs(() => client, bucket);
      },
    ),
    queue: lazyPort<Queue>(
      { send: true, receive: true, ack: true, extend: true, isWaiting: true, deadLetters: true, redrive: true },
      async () => {
        const [{ awsQueue }, client] = await Promise.all([import('./queue.ts'), clients.sqs()]);
        return awsQueue(
          () => client,
          (queue) => required(env, queue === 'job' ? 'JOB_QUEUE_URL' : 'DATA_QUEUE_URL'),
        );
      },
    ),
    bus,
    push: lazyPort<Push>({ send: true, close: true }, async () => {
      const [{ awsPush }, client] = await Promise.all([import('./push.ts'), clients.sockets()]);
      return awsPush(() => client);
    }),
    identity: lazyPort<Identity>({ register: true, signIn: true }, async () => {
      const [{ awsIdentity }, client] = await Promise.all([import('./identity.ts'), clients.cognito()]);
      return awsIdentity(
        () => client,
        () => ({
          poolId: required(env, 'USER_POOL_ID'),
          clientId: required(env, 'USER_POOL_CLIENT_ID'),
          // Only `false` turns confirmation off. A typing error must not let users register with others' addresses.
          confirm: env.CONFIRM_EMAIL !== 'false',
        }),
      );
    }),
    keys: lazyPort<KeyRing>(
      {
        createAccount: true,
        createSubject: true,
        accountKey: true,
        subjectKey: true,
        destroySubject: true,
        destroyAccount: true,
        restoreSubject: true,
        restoreAccount: true,
        sweep: true,
        compare: true,
        sign: true,
        publicKey: true,
      },
      async () => {
        const [{ awsKeyRing }, { readGraceDays }, { awsBlobs }, kms, s3] = await Promise.all([
          import('./key-ring.ts'),
          import('../key-ring.ts'),
          import('./blobs.ts'),
          clients.kms(),
          clients.s3(),
        ]);
        const keys = { keyId: variable('KEY_ID'), signingKeyId: variable('SIGNING_KEY_ID') };
        const blobs = awsBlobs(() => s3, variable('KEYS_BUCKET'));
        return awsKeyRing(() => kms, documents, prefix, keys, { blobs, log, now, graceDays: readGraceDays(env) });
      },
    ),
    secrets: lazyPort<Secrets>({ get: true }, async () => {
      const [{ awsSecrets }, client] = await Promise.all([import('./secrets.ts'), clients.ssm()]);
      return awsSecrets(() => client, variable('STAGE'), now);
    }),
    now,
    random: (bytes) => new Uint8Array(randomBytes(bytes)),
    log,
    notifyLive: live.notifyLive,
    exportLink: async (key, answer) => {
      const [{ exportLinks }, client] = await Promise.all([import('./export-links.ts'), clients.links()]);
      return exportLinks(() => client, bucket)(key, answer);
    },
    relay: awsRelay(documents, prefix, events, bus),
    news: awsNews(records),
    streamShares: awsStreamShares(documents, prefix),
    ledger: awsLedgerProgress(documents, prefix),
    sendCommand: async (name, command) => {
      const [{ awsAdminCommands }, client] = await Promise.all([import('./admin-commands.ts'), clients.lambda()]);
      return awsAdminCommands(() => client)(name, command);
    },
    close: clients.close,
  };
}
