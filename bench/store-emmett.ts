/**
 * @event-driven-io/emmett-sqlite, from the package of this folder. Its calls run one after another. Concurrent calls of
 * one store close each other's connection. Concurrent calls on one connection share a transaction, and are answered
 * before it is committed.
 */
import { spawn } from 'node:child_process';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { cause, type EventLog, eventData, type Store } from './store-contestant.ts';

// Only the types used here, because the type check runs without the package
type Connection = { command(sql: string): Promise<unknown>; query<T>(sql: string): Promise<T[]>; close(): void };
type Event = { type: string; data: object; metadata: object };
type Expected = { expectedStreamVersion: bigint };
type Read = { events: { data: object }[]; currentStreamVersion: bigint };
type Emmett = {
  getSQLiteEventStore(options: { fileName: string }): {
    appendToStream(stream: string, events: Event[], options: Expected): Promise<unknown>;
    readStream(stream: string): Promise<Read>;
  };
  sqliteConnection(options: { fileName: string }): Connection;
  createEventStoreSchema(connection: Connection): Promise<void>;
  appendToStream(
    connection: Connection,
    stream: string,
    type: string,
    events: Event[],
    options: Expected,
  ): Promise<{ success: boolean }>;
  readStream(connection: Connection, stream: string): Promise<Read>;
  readMessagesBatch(
    connection: Connection,
    options: { after: bigint; batchSize: number },
  ): Promise<{ messages: object[]; currentGlobalPosition: bigint; areEventsLeft: boolean }>;
};

const here = import.meta.dirname;
const entry = join(here, 'node_modules/@event-driven-io/emmett-sqlite/dist/index.js');
const page = 1000;

/** Installs the package of this folder if it is missing. Reports the reason and returns false if that fails. */
export async function installPeers(say: (line: string) => void): Promise<boolean> {
  const there = () =>
    access(entry).then(
      () => true,
      () => false,
    );
  if (await there()) return true;
  say(
    'Installing emmett-sqlite: npm ci --prefix bench. It may build SQLite from source, which takes a minute and a compiler.',
  );
  const npm = spawn('npm', ['ci', '--prefix', here], { stdio: ['ignore', 'ignore', 'inherit'] });
  const code = await new Promise((resolve) => npm.on('error', resolve).on('close', resolve));
  if (code === 0 && (await there())) return true;
  say('emmett-sqlite could not be installed and is left out. Run npm ci --prefix bench to see why.');
  return false;
}

export const emmettStore: Store = {
  name: 'emmett-sqlite, its store',
  settings: '`getSQLiteEventStore`, all defaults: a connection for each call, callers take turns',
  open: (folder) => openEmmett(folder, 'store'),
};

export const emmettConnection: Store = {
  name: 'emmett-sqlite, one connection',
  settings: 'its `appendToStream`, `readStream` and `readMessagesBatch` on one open connection, callers take turns',
  open: (folder) => openEmmett(folder, 'connection'),
};

async function openEmmett(folder: string, by: 'store' | 'connection'): Promise<EventLog> {
  const emmett: Emmett = await import(entry);
  const fileName = join(folder, 'emmett.db');
  const connection = emmett.sqliteConnection({ fileName });
  await connection.command('PRAGMA synchronous = FULL');
  await emmett.createEventStoreSchema(connection);
  const store = emmett.getSQLiteEventStore({ fileName });
  const streamOf = (stream: number) => `job-${eventData(stream, 1).jobId}`;
  const eventOf = (stream: number, version: number): Event => ({
    type: version === 1 ? 'JobCreated' : 'JobRenamed',
    data: eventData(stream, version),
    metadata: cause,
  });

  let last: Promise<unknown> = Promise.resolve();
  function serialized<T>(work: () => Promise<T>): Promise<T> {
    const mine = last.then(work);
    last = mine.catch(() => {});
    return mine;
  }

  async function write(stream: number, events: Event[], before: bigint): Promise<void> {
    const options = { expectedStreamVersion: before };
    if (by === 'store') await store.appendToStream(streamOf(stream), events, options);
    else if (!(await emmett.appendToStream(connection, streamOf(stream), 'job', events, options)).success)
      throw new Error('version conflict');
  }
  const read = (stream: number) =>
    by === 'store' ? store.readStream(streamOf(stream)) : emmett.readStream(connection, streamOf(stream));

  return {
    append: (stream, version) => serialized(() => write(stream, [eventOf(stream, version)], BigInt(version - 1))),
    command: (stream) =>
      serialized(async () => {
        const { currentStreamVersion: before } = await read(stream);
        await write(stream, [eventOf(stream, Number(before) + 1)], before);
      }),
    fill: (stream, events) =>
      serialized(() =>
        emmett.appendToStream(
          connection,
          streamOf(stream),
          'job',
          upTo(events).map((v) => eventOf(stream, v)),
          { expectedStreamVersion: 0n },
        ),
      ).then(() => {}),
    load: (stream) => serialized(async () => (await read(stream)).events.length),
    async replay() {
      let events = 0;
      for (let after = 0n; ; ) {
        const { messages, currentGlobalPosition, areEventsLeft } = await emmett.readMessagesBatch(connection, {
          after,
          batchSize: page,
        });
        events += messages.length;
        if (!areEventsLeft) return events;
        after = currentGlobalPosition;
      }
    },
    async durability() {
      const asked = by === 'store' ? emmett.sqliteConnection({ fileName }) : connection;
      const [mode] = await asked.query<{ journal_mode: string }>('PRAGMA journal_mode');
      const [level] = await asked.query<{ synchronous: number }>('PRAGMA synchronous');
      const [sqlite] = await asked.query<{ version: string }>('SELECT sqlite_version() AS version');
      if (by === 'store') asked.close();
      return `${mode?.journal_mode}, synchronous ${level?.synchronous}, SQLite ${sqlite?.version}`;
    },
    async close() {
      connection.close();
    },
  };
}

function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i + 1);
}
