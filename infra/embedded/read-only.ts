/** Opens a data folder for checks without changing it. Not even a time stamp or a lock file changes. */
import { existsSync } from 'node:fs';
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { type Finding, failure, info } from '../../doctor/finding.ts';
import { backupChainId } from '../../domain/backup-chain.ts';
import type { Blobs, ChunkIndex, KeyRing, Log, Platform } from '../../domain/ports.ts';
import type { RunRef } from '../../processors/backup/run.ts';
import { blobFolder, fileBlobs } from './blobs.ts';
import { makeBus } from './bus.ts';
import { chunkIndexFile, indexOver, openChunkIndex } from './chunk-index.ts';
import { type Database, databaseFile, olderFolder, oldestVersion, schemaVersion } from './database.ts';
import { makeEventStore } from './event-store.ts';
import { makeIdentity } from './identity.ts';
import { keyFile, keyFileCopy, type MachineKeys, openKeyFile } from './key-file.ts';
import { makeEmbeddedKeyRing } from './key-ring.ts';
import { makeQueue } from './queue.ts';
import { makeRecords } from './records.ts';
import { makeRows } from './rows.ts';
import { makeSignal } from './signal.ts';

export type ReadOnlyDeployment = {
  /** Every write fails. */
  platform: Platform;
  /** Returns whether a queued message, or a commit that the bus has not published yet, may continue the run. */
  isAwaited(runRef: RunRef): boolean;
  /** Yields the findings on the database file and the key file themselves. */
  findings(): Generator<Finding>;
  close(): Promise<void>;
};

/** The data folder cannot be opened. The message says what to do. */
export class Unopenable extends Error {}

/**
 * Opens a data folder for reading. `blobs` replaces the files in the folder.
 * Throws Unopenable if the folder is not a data folder, is in use, or has another schema version.
 * If the database is damaged, any read may throw an error of SQLite.
 */
export async function openReadOnly(
  folder: string,
  log: Log,
  { blobs, now = Date.now }: { blobs?: Blobs; now?: () => number } = {},
): Promise<ReadOnlyDeployment> {
  const data = resolve(folder);
  const file = join(data, databaseFile);
  if (!(await sizeOf(file)))
    throw new Unopenable(`${data} is not a data folder of ListBackup. Name the data folder with --data.`);
  requireStopped(file);
  const copy = (await sizeOf(`${file}-wal`)) ? await copyOf(file) : undefined;
  const sqlite = openFile(file, copy);
  const { index, fault, closeIndex } = await openIndex(join(data, chunkIndexFile));
  const close = async () => {
    sqlite.close();
    if (copy) await rm(copy, { recursive: true });
    await closeIndex();
  };
  try {
    requireVersion(sqlite);
    const db = readingOnly(sqlite);
    let keyFault: string | undefined;
    const keys = await openKeyFile(data, { readOnly: true }).catch((error: Error) => {
      keyFault = error.message;
      return undefined;
    });
    return {
      platform: platformOver(db, keys, index, blobs ?? fileBlobs(blobFolder(data), join(data, 'nowhere')), log, now),
      isAwaited: (runRef) => isAwaited(db, runRef),
      *findings() {
        if (keyFault) yield failure('key-file', keyFile, keyFault);
        else yield* lostKeyFiles(data);
        if (fault) yield info('chunk-index', chunkIndexFile, fault);
        for (const { integrity_check: result } of sqlite.prepare('PRAGMA integrity_check(20)').all()) {
          if (result !== 'ok') yield failure('database', databaseFile, String(result));
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The key file and its copy have the same bytes, so the loss of one is harmless. */
function* lostKeyFiles(data: string): Generator<Finding> {
  for (const name of [keyFile, keyFileCopy])
    if (!existsSync(join(data, name)))
      yield info('key-file', name, 'it is missing; the next start writes it again from the other key file');
}

/** Opens a database file without changing it, from the folder of a copy if there is one. */
function openFile(file: string, copy: string | undefined): DatabaseSync {
  if (!copy) return new DatabaseSync(immutable(file), { readOnly: true });
  const db = new DatabaseSync(join(copy, basename(file)));
  db.exec('PRAGMA locking_mode = EXCLUSIVE');
  return db;
}

/** The chunk index, or an empty one with the reason. The next start makes a missing or damaged index anew. */
async function openIndex(file: string) {
  const copy = (await sizeOf(`${file}-wal`)) ? await copyOf(file) : undefined;
  const opened = await openStoredIndex(file, copy);
  const { index, fault } = opened ?? {
    index: openChunkIndex(':memory:'),
    fault: 'it is missing or damaged; the next start restores it from the packs',
  };
  const closeIndex = async () => {
    index.close();
    if (copy) await rm(copy, { recursive: true });
  };
  return { index, fault, closeIndex };
}

async function openStoredIndex(file: string, copy: string | undefined) {
  if (!(await sizeOf(file))) return undefined;
  let db: DatabaseSync | undefined;
  try {
    db = openFile(file, copy);
    return { index: indexOver(db), fault: undefined };
  } catch {
    db?.close();
    return undefined;
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/**
 * Throws Unopenable while a process uses the file. Tries to lock the file over a connection that cannot write.
 * A read-only connection can never lock exclusively, and fails before it would create a write-ahead log.
 */
export function requireStopped(file: string): void {
  const address = pathToFileURL(file);
  address.searchParams.set('readonly_shm', '1');
  const db = new DatabaseSync(address, { readOnly: true });
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE');
    db.prepare('SELECT 1 FROM sqlite_master').get();
  } catch (error) {
    const busy = 5;
    if ((error as { errcode?: number }).errcode !== busy) return;
    throw new Unopenable(
      'ListBackup is running on this data folder. ' +
        'Stop it (Ctrl+C) and check again, or check a snapshot of the folder with --data.',
    );
  } finally {
    db.close();
  }
}

/** Without a write-ahead log the file is complete. SQLite can read it without locks and without files beside it. */
function immutable(file: string): URL {
  const address = pathToFileURL(file);
  address.searchParams.set('immutable', '1');
  return address;
}

/**
 * The folder of the copy. After a crash part of the data is in the write-ahead log. SQLite can merge it only into a
 * copy.
 */
async function copyOf(file: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'listbackup-doctor-'));
  try {
    for (const ending of ['', '-wal']) await copyFile(`${file}${ending}`, join(folder, `${basename(file)}${ending}`));
    return folder;
  } catch (error) {
    await rm(folder, { recursive: true });
    throw new Unopenable(
      'ListBackup did not stop cleanly, so the check needs a copy of the database. ' +
        `The copy failed (${(error as Error).message}). ` +
        'Free space in the temporary folder (TMPDIR), or start and stop ListBackup once.',
    );
  }
}

function requireVersion(sqlite: DatabaseSync): void {
  const version = Number(sqlite.prepare('PRAGMA user_version').get()?.user_version);
  if (version > schemaVersion)
    throw new Unopenable('A newer version of ListBackup made this data folder. Check it with that version.');
  if (version > 0 && version < oldestVersion) throw new Unopenable(olderFolder);
  if (version < schemaVersion)
    throw new Unopenable(
      'An older version of ListBackup made this data folder. Start and stop this version once to update it.',
    );
}

function readingOnly(sqlite: DatabaseSync): Database {
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();
  return {
    sql(text) {
      const known = statements.get(text) ?? sqlite.prepare(text);
      statements.set(text, known);
      return known;
    },
    write: () => Promise.reject(new Error('The data folder is open for reading only.')),
    checkpoint() {},
    close: async () => {},
  };
}

function platformOver(
  db: Database,
  keys: MachineKeys | undefined,
  chunks: ChunkIndex,
  blobs: Blobs,
  log: Log,
  now: () => number,
): Platform {
  const lost = () => Promise.reject(new Error('The key file is lost or damaged.'));
  const noKeys: KeyRing = {
    createAccount: lost,
    createSubject: lost,
    accountKey: lost,
    subjectKey: lost,
    destroySubject: lost,
    destroyAccount: lost,
    restoreSubject: lost,
    restoreAccount: lost,
    sweep: lost,
    compare: lost,
    sign: lost,
    publicKey: lost,
  };
  const forbidden = () => Promise.reject(new Error('The data folder is open for reading only.'));
  const readBlobs: Blobs = { ...blobs, put: forbidden, delete: forbidden };
  const queue = makeQueue(db, now);
  return {
    events: makeEventStore(db, makeSignal()),
    rows: makeRows(db),
    records: makeRecords(db, now),
    blobs: readBlobs,
    chunks: { ...chunks, add: forbidden },
    queue,
    bus: makeBus(queue, []),
    push: { send: async () => 'gone', close: async () => {} },
    identity: keys ? makeIdentity(db, keys) : { register: lost, signIn: lost },
    keys: keys ? makeEmbeddedKeyRing(db, keys, { blobs: readBlobs, log, now, graceDays: 0 }) : noKeys,
    secrets: { get: async () => undefined },
    now,
    random: () => {
      throw new Error('A check needs no random bytes.');
    },
    log,
  };
}

function isAwaited(db: Database, runRef: RunRef): boolean {
  const bus = db
    .sql(
      "SELECT coalesce((SELECT position FROM feeds WHERE consumer = 'bus'), 0) < max(position) AS behind FROM commits",
    )
    .get();
  if (bus?.behind === 1) return true;
  const message = db.sql('SELECT 1 FROM messages WHERE dead = 0 AND (instr(body, ?) OR instr(body, ?)) LIMIT 1');
  return message.get(runRef.runId, backupChainId(runRef.jobId, runRef.sourceId)) !== undefined;
}
