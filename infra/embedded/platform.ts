/** The platform of the self-hosted deployment: all ports in one process, over one data folder. */
import { join, resolve } from 'node:path';
import type { Blobs, Log, Platform } from '../../domain/ports.ts';
import { blobFolder, openBlobs, temporaryFolder } from './blobs.ts';
import { makeBus, type Route } from './bus.ts';
import type { Chaos } from './chaos.ts';
import { chunkIndexFile, type EmbeddedChunkIndex, openChunkIndex, removeDamagedIndex } from './chunk-index.ts';
import { type Database, databaseFile, openDatabase } from './database.ts';
import { makeDirectory } from './durable-file.ts';
import { makeEventStore } from './event-store.ts';
import { startRemovingExpired } from './expired-records.ts';
import { type Feed, type FeedOptions, startFeed } from './feed.ts';
import { makeIdentity } from './identity.ts';
import { openKeyFile } from './key-file.ts';
import { completeKeys, makeEmbeddedKeyRing, requireMatchingKeys } from './key-ring.ts';
import { makeQueue } from './queue.ts';
import { openRandom } from './random.ts';
import { makeRecords } from './records.ts';
import { restoreIndex } from './restore-index.ts';
import { makeRows } from './rows.ts';
import { openSecrets } from './secrets.ts';
import { makeSignal } from './signal.ts';
import { makeSockets, type Sockets } from './sockets.ts';

export type EmbeddedOptions = {
  /** The data folder. Created if missing. Only one process may use it. */
  data: string;
  log: Log;
  /** Which event types the bus sends to which queue. */
  routes: Route[];
  /** Default: files in the data folder. */
  blobs?: Blobs;
  /** How many days the destruction of a key can be taken back. Default: 7. */
  graceDays?: number;
  now?: () => number;
  random?: (bytes: number) => Uint8Array;
  /** Holds the `LISTBACKUP_SECRET_…` variables. Default: `process.env`. */
  environment?: { [name: string]: string | undefined };
  /** Makes feed and queue as unreliable as on AWS. For tests. */
  chaos?: Chaos;
};

export type Embedded = {
  platform: Platform;
  /** The `push` port, and the means to accept its connections. */
  sockets: Sockets;
  /** Delivers new commits to a named consumer, from its stored position on. `close` stops it. */
  feed(consumer: string, handle: FeedOptions['handle'], options?: { batch?: number }): Feed;
  /** Returns the account of the first commit: the account that set up the server. */
  firstAccount(): string | undefined;
  /** Ends all waits for messages, so that workers can stop. */
  stopReceiving(): void;
  /** Stops feeds and waits, finishes writes and unlocks the data folder. */
  close(): Promise<void>;
};

/** Milliseconds since the epoch by a clock that never goes back, so that setting the clock back delays no message. */
const steadyNow = () => Math.floor(performance.timeOrigin + performance.now());

/**
 * Opens a data folder. Throws an Error that says what to do if another process uses the folder,
 * a newer version made it, or its key file is lost.
 */
export async function openEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { log, routes, chaos, now = Date.now } = options;
  const data = resolve(options.data);
  await makeDirectory(data);
  const db = openDatabase(join(data, databaseFile));
  let chunks: EmbeddedChunkIndex | undefined;
  try {
    const keys = await openKeyFile(data, { mayCreate: () => isEmpty(db) });
    const blobs = options.blobs ?? (await openBlobs(blobFolder(data)));
    const ring = makeEmbeddedKeyRing(db, keys, { blobs, log, now, graceDays: options.graceDays ?? 7 });
    await requireMatchingKeys(db, ring);
    await completeKeys(db, ring);
    const indexFile = join(data, chunkIndexFile);
    removeDamagedIndex(indexFile);
    chunks = openChunkIndex(indexFile);
    const index = chunks;
    const secrets = await openSecrets(data, options.environment ?? process.env, now);
    const appended = makeSignal();
    const sockets = makeSockets(log);
    const queue = makeQueue(db, options.now ?? steadyNow, chaos);
    await queue.giveBack();
    const feeds = new Set<Feed>();
    const stopRemoving = startRemovingExpired(db, now, log);
    const root = blobFolder(data);
    const files = options.blobs ? undefined : { root, temporary: temporaryFolder(root) };
    const stopRestoring = restoreIndex({ index: indexFile, files }, { blobs, chunks: index, keys: ring, log });
    return {
      sockets,
      platform: {
        events: makeEventStore(db, appended),
        rows: makeRows(db),
        records: makeRecords(db, now),
        blobs,
        chunks: index,
        queue,
        bus: makeBus(queue, routes),
        push: sockets,
        identity: makeIdentity(db, keys),
        keys: ring,
        secrets,
        now,
        random: options.random ?? openRandom(),
        log,
      },
      feed(consumer, handle, more = {}) {
        const feed = startFeed({ db, appended, log, chaos, consumer, handle, ...more });
        feeds.add(feed);
        return feed;
      },
      firstAccount() {
        const account = db.sql('SELECT account FROM commits ORDER BY position LIMIT 1').get()?.account;
        return account === undefined ? undefined : String(account);
      },
      stopReceiving: () => queue.stop(),
      async close() {
        await stopRestoring();
        await stopRemoving();
        await sockets.stop();
        queue.stop();
        await Promise.all([...feeds].map((feed) => feed.stop()));
        index.close();
        await db.close();
      },
    };
  } catch (error) {
    chunks?.close();
    await db.close();
    throw error;
  }
}

/** Returns whether the database holds nothing yet that needs the key file. */
function isEmpty(db: Database): boolean {
  const row = db
    .sql(
      'SELECT EXISTS (SELECT 1 FROM keys) OR EXISTS (SELECT 1 FROM people) OR EXISTS (SELECT 1 FROM commits) AS used',
    )
    .get();
  return row?.used === 0;
}
