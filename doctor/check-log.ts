/**
 * Whether an account's log is what it promises: a ledger without gaps that has each commit of each stream once, commits chained over
 * the bytes that are stored, and every event readable. One pass in the ledger's order, on which other checks ride along (`seen`).
 */

import { type Head, isIntact, sha256, start } from '../activity/commit.ts';
import { decode, UnreadableCommit } from '../activity/decode.ts';
import { decrypt } from '../activity/personal-data.ts';
import { isEncrypted, parseStream, type Recorded } from '../domain/event.ts';
import type { LedgerEntry, Platform, StoredCommit } from '../domain/ports.ts';
import { type Count, type Finding, failure } from './finding.ts';

type Needs = Pick<Platform, 'events' | 'blobs' | 'keys'>;

export type LogChecks = {
  count: Count;
  /** Gets each commit that can be read, in the ledger's order. `whole`: nothing was wrong with the log so far. */
  seen?: (commit: StoredCommit, events: Recorded[], whole: boolean) => void | Promise<void>;
};

/** What the pass has learnt, for the checks that come after it. */
export type CheckedLog = {
  /** Where each stream stands by the ledger. One entry a stream is held in memory. */
  heads: Map<string, Head>;
  /** Whether every commit could be read: what is made from the log can only be compared then. */
  whole: boolean;
};

const pageSize = 200;

export async function* checkLog(
  platform: Needs,
  account: string,
  { count, seen }: LogChecks,
): AsyncGenerator<Finding, CheckedLog> {
  const heads = new Map<string, Head>();
  const fields = fieldChecker(platform, account, count);
  let whole = true;
  let before = { seq: 0, at: '' };
  for (;;) {
    const entries = await platform.events.ledger(account, { afterSeq: before.seq, order: 'asc', limit: pageSize });
    if (entries.length === 0) return { heads, whole };
    const commits = new Map(
      (await platform.events.getMany(entries)).map((commit) => [`${commit.stream}@${commit.version}`, commit]),
    );
    for (const entry of entries) {
      count('ledger');
      const commit = commits.get(`${entry.stream}@${entry.version}`);
      const faults = [...faultsOfEntry(account, entry, before, commit, heads.get(entry.stream) ?? start)];
      const events = commit && (await read(platform, account, commit, faults, count));
      whole &&= faults.length === 0;
      yield* faults;
      heads.set(entry.stream, { version: entry.version, hash: entry.hash });
      before = { seq: entry.seq, at: entry.at };
      if (!commit || !events) continue;
      for (const event of events) yield* fields(event);
      await seen?.(commit, events, whole);
    }
  }
}

/** What the ledger's entry says of itself, of the one before it, and of its commit. */
function* faultsOfEntry(
  account: string,
  entry: LedgerEntry,
  before: { seq: number; at: string },
  commit: StoredCommit | undefined,
  head: Head,
): Generator<Finding> {
  const where = `${account} ledger ${entry.seq}`;
  if (entry.seq !== before.seq + 1)
    yield failure('ledger', where, `it should be number ${before.seq + 1}: the ledger has a gap before it`);
  if (!entry.stream.startsWith(`${account}/`))
    yield failure('ledger', where, `it names a stream that is not the account's: ${entry.stream}`);
  if (entry.version !== head.version + 1)
    yield failure(
      'ledger',
      where,
      `it names version ${entry.version} of ${entry.stream} where ${head.version + 1} is due`,
    );
  if (!commit)
    return yield failure(
      'commit',
      `${entry.stream} ${entry.version}`,
      `ledger entry ${entry.seq} names it, and it is not there`,
    );
  if (commit.hash !== entry.hash)
    yield failure('ledger', where, `its hash is not that of commit ${entry.version} of ${entry.stream}`);
  const due = commit.at > before.at ? commit.at : before.at;
  if (entry.at !== due)
    yield failure(
      'ledger',
      where,
      `its time is ${entry.at}, and should be ${due}: that of its commit, or of the entry before`,
    );
  if (commit.prevHash !== head.hash)
    yield failure('commit', `${entry.stream} ${entry.version}`, 'it is not chained to the commit before it');
}

/** The events; nothing, and why among the faults, when it cannot be read. */
async function read(
  platform: Needs,
  account: string,
  commit: StoredCommit,
  faults: Finding[],
  count: Count,
): Promise<Recorded[] | undefined> {
  const { body } = commit;
  const where = `${commit.stream} ${commit.version}`;
  const known = faults.length;
  count('commit');
  if ('blob' in body) {
    count('commit-blob');
    const bytes = await platform.blobs.get(body.blob);
    const detail = faultOfBlob(account, body, bytes);
    if (detail) faults.push(failure('commit-blob', where, detail));
    if (!bytes) return undefined;
    if (!isIntact(commit, bytes) && !detail) faults.push(failure('commit', where, 'it is not what its hash says'));
  } else if (!isIntact(commit, body.bytes)) {
    faults.push(failure('commit', where, 'it is not what its hash says'));
  }
  if (faults.length > known) return undefined;
  try {
    const events = await decode(platform, commit);
    count('event', events.length);
    if (events.length === 0) faults.push(failure('event', where, 'the commit has no events'));
    // The column is not under the hash; the bytes are.
    if (events[0] && events[0].at !== commit.at)
      faults.push(failure('commit', where, `its time is ${commit.at}, and its bytes say ${events[0].at}`));
    return events;
  } catch (error) {
    if (!(error instanceof UnreadableCommit) || error.why !== 'unknown')
      faults.push(failure('event', where, 'the commit cannot be decoded'));
    else faults.push(failure('event', where, 'a newer version of ListBackup wrote it: check with that one'));
    return undefined;
  }
}

function faultOfBlob(
  account: string,
  { blob, bytesHash }: { blob: string; bytesHash: string },
  bytes: Uint8Array | undefined,
) {
  if (!bytes) return `its body is missing: blob ${blob}`;
  if (sha256(bytes) !== bytesHash) return `its body is not what was stored: blob ${blob}`;
  return blob === `commits/${account}/${bytesHash}` ? undefined : `its body is in a blob of another name: ${blob}`;
}

/** Opens every sealed field; of a subject whose key or fields do not open, only the first is told. Erased subjects are no fault. */
function fieldChecker(platform: Needs, account: string, count: Count) {
  const told = new Set<string>();
  return async function* fields(event: Recorded): AsyncGenerator<Finding> {
    const { account: owner } = parseStream(event.stream);
    for (const [name, value] of Object.entries(event.data)) {
      if (!isEncrypted(value) || told.has(value.subject)) continue;
      count('encrypted-field');
      const key = await platform.keys.subjectKey(owner, value.subject).catch(() => 'unreadable' as const);
      if (key === 'unreadable') {
        told.add(value.subject);
        yield failure(
          'key',
          `${account} ${value.subject}`,
          'the key cannot be had: what is sealed under it cannot be read',
        );
        continue;
      }
      const opens = await decrypt(platform, owner, value).then(
        () => true,
        () => false,
      );
      if (opens) continue;
      told.add(value.subject);
      yield failure(
        'encrypted-field',
        `${event.stream} ${event.version}`,
        `${name} does not open under the key of ${value.subject}`,
      );
    }
  };
}

/** Where every stream stands against where the ledger has it: no commit may be missing from the ledger. */
export function* checkCovered(
  account: string,
  heads: Map<string, Head>,
  streams: Iterable<[stream: string, version: number]>,
): Generator<Finding> {
  for (const [stream, version] of streams) {
    const covered = heads.get(stream)?.version ?? 0;
    if (version > covered)
      yield failure('ledger', account, `commits ${covered + 1} to ${version} of ${stream} are not in it`);
  }
}
