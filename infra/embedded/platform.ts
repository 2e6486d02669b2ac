/** The embedded home: one process, one data folder. */
import { join, resolve } from 'node:path';
import type { Blobs, Log, Platform } from '../../domain/ports.ts';
import { blobFolder, openBlobs } from './blobs.ts';
import { makeBus, type Route } from './bus.ts';
import type { Chaos } from './chaos.ts';
import { type Database, databaseFile, openDatabase } from './database.ts';
import { makeDirectory } from './durable-file.ts';
import { makeEventStore } from './event-store.ts';
import { type Feed, type FeedOptions, startFeed } from './feed.ts';
import { makeIdentity } from './identity.ts';
import { openKeyFile } from './key-file.ts';
import { makeEmbeddedKeyRing, requireFitting } from './key-ring.ts';
import { makeQueue } from './queue.ts';
import { openRandom } from './random.ts';
import { makeRecords, removeExpired } from './records.ts';
import { makeRows } from './rows.ts';
import { openSecrets } from './secrets.ts';
import { makeSignal } from './signal.ts';
import { makeSockets, type Sockets } from './sockets.ts';

export type EmbeddedOptions = {
  /** The data folder; made when missing. One process at a time. */
  data: string;
  log: Log;
  /** Which events of the bus go to which queue. */
  routes: Route[];
  /** Instead of files in the data folder: a bucket, say. */
  blobs?: Blobs;
  now?: () => number;
  random?: (bytes: number) => Uint8Array;
  /** Where `LISTBACKUP_SECRET_…` are looked for; default `process.env`. */
  environment?: { [name: string]: string | undefined };
  /** Makes feed and queue as unreliable as AWS's. */
  chaos?: Chaos;
};

export type Embedded = {
  platform: Platform;
  /** The machine's `push`, and the door to it. */
  sockets: Sockets;
  /** Follows new commits under a name, from where that name was; stopped by `close`. */
  feed(consumer: string, handle: FeedOptions['handle'], options?: { batch?: number }): Feed;
  /** Whose commit is the first in the log: who set the box up. */
  firstAccount(): string | undefined;
  /** Ends every wait for messages, so that workers can stop. */
  stopReceiving(): void;
  /** Stops feeds and waits, finishes writes, frees the folder. */
  close(): Promise<void>;
};

const sweepMilliseconds = 60_000;

/** Milliseconds since the epoch, as they were at the start and have passed since: no one who sets the clock back makes work wait for it. */
const steadyNow = () => Math.floor(performance.timeOrigin + performance.now());

/** Opens a data folder. Errors say what to do: another process has it, a newer version made it, its key file is lost. */
export async function openEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const { log, routes, chaos, now = Date.now } = options;
  const data = resolve(options.data);
  await makeDirectory(data);
  const db = openDatabase(join(data, databaseFile));
  try {
    const keys = await openKeyFile(data, () => isEmpty(db));
    const ring = makeEmbeddedKeyRing(db, keys, now);
    await requireFitting(db, ring);
    const blobs = options.blobs ?? (await openBlobs(blobFolder(data)));
    const secrets = await openSecrets(data, options.environment ?? process.env, now);
    const appended = makeSignal();
    const sockets = makeSockets(log);
    const queue = makeQueue(db, options.now ?? steadyNow, chaos);
    await queue.giveBack();
    const feeds = new Set<Feed>();
    const stopSweeping = sweep(db, now, log);
    return {
      sockets,
      platform: {
        events: makeEventStore(db, appended),
        rows: makeRows(db),
        records: makeRecords(db, now),
        blobs,
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
        stopSweeping();
        await sockets.stop();
        queue.stop();
        await Promise.all([...feeds].map((feed) => feed.stop()));
        await db.close();
      },
    };
  } catch (error) {
    await db.close();
    throw error;
  }
}

/** Nothing in it yet that a lost key file would be needed for. */
function isEmpty(db: Database): boolean {
  const row = db
    .sql(
      'SELECT EXISTS (SELECT 1 FROM keys) OR EXISTS (SELECT 1 FROM people) OR EXISTS (SELECT 1 FROM commits) AS used',
    )
    .get();
  return row?.used === 0;
}

function sweep(db: Database, now: () => number, log: Log): () => void {
  const timer = setInterval(() => {
    removeExpired(db, now()).catch((error) => log.error('expired records could not be removed', {}, error));
  }, sweepMilliseconds).unref();
  return () => clearInterval(timer);
}
