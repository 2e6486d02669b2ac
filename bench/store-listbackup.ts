/** The self-hosted event store, through the functions that commands and readers use. */
import { join } from 'node:path';
import { type Head, start } from '../activity/commit.ts';
import { encodeCommit } from '../activity/encode.ts';
import { openEntries } from '../activity/feed.ts';
import { decryptFields } from '../activity/personal-data.ts';
import { load, transact } from '../activity/store.ts';
import { createJob, type JobEvent, job, renameJob } from '../domain/job.ts';
import { openDatabase } from '../infra/embedded/database.ts';
import { openEmbedded } from '../infra/embedded/platform.ts';
import { cause, type EventLog, eventData, type Store } from './store-contestant.ts';

const account = `acc_${'0'.repeat(26)}`;
const page = 200;

export const listbackupStore: Store = {
  name: 'ListBackup',
  settings: 'one process, group commit; events hashed into chains, `name` encrypted, a ledger kept; Node’s own SQLite',
  open: openListbackup,
};

async function openListbackup(folder: string): Promise<EventLog> {
  const data = join(folder, 'data');
  const { platform, close } = await openEmbedded({
    data,
    routes: [],
    log: { info() {}, warn() {}, measure() {}, error: (message, _, error) => console.error(message, error) },
  });
  await platform.keys.createAccount(account);
  await platform.keys.createSubject(account, account);
  const heads = new Map<number, Head>();
  const streamOf = (stream: number) => `${account}/job/${eventData(stream, 1).jobId}`;

  async function append(stream: number, version: number): Promise<void> {
    const { sourceId, jobId, name } = eventData(stream, version);
    const event: JobEvent =
      version === 1
        ? { type: 'JobCreated', data: { jobId, sourceId, name } }
        : { type: 'JobRenamed', data: { jobId, name } };
    const commit = await encodeCommit(platform, job, streamOf(stream), heads.get(stream) ?? start, [event], cause);
    if (commit.version !== version) throw new Error('the commit has the wrong version');
    if ((await platform.events.append(commit)) !== 'appended') throw new Error(`version ${version} is taken`);
    heads.set(stream, { version, hash: commit.hash });
  }

  return {
    append,
    async command(stream) {
      const data = eventData(stream, 1);
      const done = await transact(
        platform,
        job,
        streamOf(stream),
        (state) => (state.status === 'none' ? createJob(data)(state) : renameJob(data.jobId, data.name)(state)),
        cause,
      );
      if (!done.appended) throw new Error('the command appended nothing');
    },
    async fill(stream, events) {
      for (let version = 1; version <= events; version++) await append(stream, version);
    },
    async load(stream) {
      return (await load(platform, job, streamOf(stream))).head.version;
    },
    async replay(opened) {
      let events = 0;
      for (let afterSeq = 0; ; ) {
        const entries = await platform.events.ledger(account, { afterSeq, order: 'asc', limit: page });
        for (const entry of await openEntries(platform, account, entries)) {
          if (opened) for (const event of entry.events) await decryptFields(platform, account, event.data);
          events += entry.events.length;
        }
        if (entries.length < page) return events;
        afterSeq = entries.at(-1)?.seq ?? afterSeq;
      }
    },
    async durability() {
      // The product holds its file exclusively, so read the mode from another file opened in the same way
      const db = openDatabase(join(folder, 'asked.db'));
      const [mode, level] = [
        db.sql('PRAGMA journal_mode').get()?.journal_mode,
        db.sql('PRAGMA synchronous').get()?.synchronous,
      ];
      const version = db.sql('SELECT sqlite_version() AS version').get()?.version;
      await db.close();
      return `${mode}, synchronous ${level}, SQLite ${version}`;
    },
    close,
  };
}
