/** A data folder of the embedded home as it lies there, for checks: nothing in it is changed, not even a time or a lock file. */
import { copyFile, mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { pathToFileURL } from 'node:url';
import { type Finding, failure } from '../../doctor/finding.ts';
import { backupChainId } from '../../domain/backup-chain.ts';
import type { Blobs, KeyRing, Log, Platform } from '../../domain/ports.ts';
import type { RunRef } from '../../processors/backup/run.ts';
import { blobFolder, fileBlobs } from './blobs.ts';
import { makeBus } from './bus.ts';
import { type Database, databaseFile, schemaVersion } from './database.ts';
import { makeEventStore } from './event-store.ts';
import { makeIdentity } from './identity.ts';
import { type MachineKeys, openKeyFile } from './key-file.ts';
import { makeEmbeddedKeyRing } from './key-ring.ts';
import { makeQueue } from './queue.ts';
import { makeRecords } from './records.ts';
import { makeRows } from './rows.ts';
import { makeSignal } from './signal.ts';

export type ReadOnlyDeployment = {
  /** Whatever writes fails. */
  platform: Platform;
  /** Whether a message, or a commit not yet told of on the bus, will go on with the run. */
  isAwaited(runRef: RunRef): boolean;
  /** What can be told of database and key file as such. */
  findings(): Generator<Finding>;
  close(): Promise<void>;
};

/** It could not even be opened; the message says what to do. */
export class Unopenable extends Error {}

/** `blobs`: instead of files in the folder. Throws Unopenable: no data folder, in use, or of another version. SQLite's own errors may come from anything when its file is damaged. */
export async function openReadOnly(
  folder: string,
  log: Log,
  { blobs, now = Date.now }: { blobs?: Blobs; now?: () => number } = {},
): Promise<ReadOnlyDeployment> {
  const data = resolve(folder);
  const file = join(data, databaseFile);
  if (!(await sizeOf(file)))
    throw new Unopenable(`${data} is no data folder of ListBackup: say which one with --data.`);
  requireStopped(file);
  const copy = (await sizeOf(`${file}-wal`)) ? await copyOf(file) : undefined;
  const sqlite = copy ? new DatabaseSync(join(copy, databaseFile)) : new DatabaseSync(asItIs(file), { readOnly: true });
  const close = async () => {
    sqlite.close();
    if (copy) await rm(copy, { recursive: true });
  };
  try {
    if (copy) sqlite.exec('PRAGMA locking_mode = EXCLUSIVE');
    requireVersion(sqlite);
    const db = readingOnly(sqlite);
    let keyFault: string | undefined;
    const keys = await openKeyFile(data, () => false).catch((error: Error) => {
      keyFault = error.message;
      return undefined;
    });
    return {
      platform: platformOver(db, keys, blobs ?? fileBlobs(blobFolder(data), join(data, 'nowhere')), log, now),
      isAwaited: (runRef) => isAwaited(db, runRef),
      *findings() {
        if (keyFault) yield failure('key-file', 'keys.json', keyFault);
        for (const { integrity_check: said } of sqlite.prepare('PRAGMA integrity_check(20)').all()) {
          if (said !== 'ok') yield failure('database', databaseFile, String(said));
        }
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

/**
 * Throws Unopenable while a process has the file. Asks for the lock by way of a connection that cannot get any further: as it cannot
 * write, it cannot lock exclusively, and fails before it would make a write-ahead log.
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
      'ListBackup is running on this data folder. Stop it (Ctrl+C) and check then; or check a snapshot of the folder, with --data.',
    );
  } finally {
    db.close();
  }
}

/** Without a write-ahead log the file is all there is, and can be read without locks or any file beside it. */
function asItIs(file: string): URL {
  const address = pathToFileURL(file);
  address.searchParams.set('immutable', '1');
  return address;
}

/** After a sudden end part of the data is in the write-ahead log: a copy takes it in. */
async function copyOf(file: string): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'listbackup-doctor-'));
  try {
    for (const ending of ['', '-wal']) await copyFile(`${file}${ending}`, join(folder, `${databaseFile}${ending}`));
    return folder;
  } catch (error) {
    await rm(folder, { recursive: true });
    throw new Unopenable(
      `ListBackup ended suddenly last time, so its database has to be copied for the check, and that failed (${(error as Error).message}). ` +
        'Make room in the temporary folder (TMPDIR), or start and stop ListBackup once.',
    );
  }
}

function requireVersion(sqlite: DatabaseSync): void {
  const version = Number(sqlite.prepare('PRAGMA user_version').get()?.user_version);
  if (version > schemaVersion)
    throw new Unopenable('A newer version of ListBackup made this data folder: check with that one.');
  if (version < schemaVersion)
    throw new Unopenable('An older version of ListBackup made this data folder: start and stop this one once.');
}

function readingOnly(sqlite: DatabaseSync): Database {
  const statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();
  return {
    sql(text) {
      const known = statements.get(text) ?? sqlite.prepare(text);
      statements.set(text, known);
      return known;
    },
    write: () => Promise.reject(new Error('opened for reading only')),
    checkpoint() {},
    close: async () => {},
  };
}

function platformOver(
  db: Database,
  keys: MachineKeys | undefined,
  blobs: Blobs,
  log: Log,
  now: () => number,
): Platform {
  const lost = () => Promise.reject(new Error('the key file is lost or damaged'));
  const noKeys: KeyRing = {
    accountKey: lost,
    subjectKey: lost,
    destroySubject: lost,
    destroyAccount: lost,
    sign: lost,
    publicKey: lost,
  };
  const forbidden = () => Promise.reject(new Error('opened for reading only'));
  const queue = makeQueue(db, now);
  return {
    events: makeEventStore(db, makeSignal()),
    rows: makeRows(db),
    records: makeRecords(db, now),
    blobs: { ...blobs, put: forbidden, delete: forbidden },
    queue,
    bus: makeBus(queue, []),
    push: { send: async () => 'gone', close: async () => {} },
    identity: keys ? makeIdentity(db, keys) : { register: lost, signIn: lost },
    keys: keys ? makeEmbeddedKeyRing(db, keys, now) : noKeys,
    secrets: { get: async () => undefined },
    now,
    random: () => {
      throw new Error('a check makes nothing');
    },
    log,
  };
}

function isAwaited(db: Database, runRef: RunRef): boolean {
  const told = db
    .sql(
      "SELECT coalesce((SELECT position FROM feeds WHERE consumer = 'bus'), 0) < max(position) AS behind FROM commits",
    )
    .get();
  if (told?.behind === 1) return true;
  const message = db.sql('SELECT 1 FROM messages WHERE dead = 0 AND (instr(body, ?) OR instr(body, ?)) LIMIT 1');
  return message.get(runRef.runId, backupChainId(runRef.jobId, runRef.sourceId)) !== undefined;
}
