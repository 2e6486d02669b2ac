/**
 * Checks an account's log. The ledger has no gaps and holds each commit of each stream once. Hashes chain over the
 * stored bytes. Every event can be decoded. The log is read once, in ledger order, and other checks see each commit
 * through `visit`.
 */

import { type Head, isIntact, sha256, start } from '../activity/commit.ts';
import { decode, UnreadableCommit } from '../activity/decode.ts';
import { decrypt } from '../activity/personal-data.ts';
import { isEncrypted, parseStream, type Recorded } from '../domain/event.ts';
import type { LedgerEntry, Platform, StoredCommit } from '../domain/ports.ts';
import { type Count, type Finding, failure } from './finding.ts';
import { reasonOf } from './reading.ts';

type Ports = Pick<Platform, 'events' | 'blobs' | 'keys'>;

export type LogChecks = {
  count: Count;
  /** Gets each readable commit in ledger order. `intact`: no failure was found in the log so far. */
  visit?: (commit: StoredCommit, events: Recorded[], intact: boolean) => void | Promise<void>;
};

export type CheckedLog = {
  /** The last version and hash of each stream according to the ledger. Memory: one entry a stream. */
  heads: Map<string, Head>;
  /** Every commit could be read. Only then can read models be compared with the log. */
  intact: boolean;
};

const pageSize = 200;

export async function* checkLog(
  platform: Ports,
  account: string,
  { count, visit }: LogChecks,
): AsyncGenerator<Finding, CheckedLog> {
  const heads = new Map<string, Head>();
  const checkFields = fieldChecker(platform, account, count);
  let intact = true;
  let previous = { seq: 0, at: '' };
  for (;;) {
    const entries = await platform.events.ledger(account, { afterSeq: previous.seq, order: 'asc', limit: pageSize });
    if (entries.length === 0) return { heads, intact };
    const commits = new Map(
      (await platform.events.getMany(entries)).map((commit) => [`${commit.stream}@${commit.version}`, commit]),
    );
    for (const entry of entries) {
      count('ledger');
      const commit = commits.get(`${entry.stream}@${entry.version}`);
      const faults = [...faultsOfEntry(account, entry, previous, commit, heads.get(entry.stream) ?? start)];
      const events = commit && (await readEvents(platform, account, commit, faults, count));
      intact &&= faults.length === 0;
      yield* faults;
      heads.set(entry.stream, { version: entry.version, hash: entry.hash });
      previous = { seq: entry.seq, at: entry.at };
      if (!commit || !events) continue;
      for (const event of events) yield* checkFields(event);
      await visit?.(commit, events, intact);
    }
  }
}

/** Compares a ledger entry with the entry before it, with its commit and with the head of its stream. */
function* faultsOfEntry(
  account: string,
  entry: LedgerEntry,
  previous: { seq: number; at: string },
  commit: StoredCommit | undefined,
  head: Head,
): Generator<Finding> {
  const { stream, version } = entry;
  const inLedger = (detail: string) => failure('ledger', `${account} ledger ${entry.seq}`, detail);
  const inCommit = (detail: string) => failure('commit', `${stream} ${version}`, detail);
  if (entry.seq !== previous.seq + 1)
    yield inLedger(`the entry should have number ${previous.seq + 1}: the ledger has a gap before it`);
  if (!stream.startsWith(`${account}/`)) yield inLedger(`the entry names a stream of another account: ${stream}`);
  if (version !== head.version + 1)
    yield inLedger(`the entry names version ${version} of ${stream}, but the next version is ${head.version + 1}`);
  if (!commit) return yield inCommit(`ledger entry ${entry.seq} names this commit, but it is missing`);
  if (commit.hash !== entry.hash) yield inLedger(`the hash differs from that of commit ${version} of ${stream}`);
  const expectedTime = commit.at > previous.at ? commit.at : previous.at;
  if (entry.at !== expectedTime)
    yield inLedger(`the time is ${entry.at}, but the commit and the entry before it give ${expectedTime}`);
  if (commit.prevHash !== head.hash) yield inCommit('the commit is not chained to the commit before it');
}

/** Decodes the commit. When that fails, it adds the reason to `faults` and returns undefined. */
async function readEvents(
  platform: Ports,
  account: string,
  commit: StoredCommit,
  faults: Finding[],
  count: Count,
): Promise<Recorded[] | undefined> {
  const { body } = commit;
  const where = `${commit.stream} ${commit.version}`;
  const faultsBefore = faults.length;
  const hashDiffers = () => failure('commit', where, 'the hash of the commit does not match its bytes');
  count('commit');
  if ('blob' in body) {
    count('commit-blob');
    const bytes = await platform.blobs.get(body.blob);
    const detail = faultOfBlob(account, body, bytes);
    if (detail) faults.push(failure('commit-blob', where, detail));
    if (!bytes) return undefined;
    if (!isIntact(commit, bytes) && !detail) faults.push(hashDiffers());
  } else if (!isIntact(commit, body.bytes)) {
    faults.push(hashDiffers());
  }
  if (faults.length > faultsBefore) return undefined;
  try {
    const events = await decode(platform, commit);
    count('event', events.length);
    if (events.length === 0) faults.push(failure('event', where, 'the commit has no events'));
    // The hash covers the bytes, not the time column.
    if (events[0] && events[0].at !== commit.at)
      faults.push(failure('commit', where, `the commit has the time ${commit.at}, but its bytes say ${events[0].at}`));
    return events;
  } catch (error) {
    const isNewer = error instanceof UnreadableCommit && error.why === 'unknown';
    const detail = isNewer
      ? 'a newer version of ListBackup wrote this commit: check with that version'
      : error instanceof UnreadableCommit
        ? 'the commit cannot be decoded'
        : reasonOf(error);
    faults.push(failure('event', where, detail));
    return undefined;
  }
}

function faultOfBlob(
  account: string,
  { blob, bytesHash }: { blob: string; bytesHash: string },
  bytes: Uint8Array | undefined,
): string | undefined {
  if (!bytes) return `the body is missing: blob ${blob}`;
  if (sha256(bytes) !== bytesHash) return `the body was changed: blob ${blob}`;
  return blob === `commits/${account}/${bytesHash}` ? undefined : `the body is in a blob of the wrong name: ${blob}`;
}

/**
 * Decrypts every encrypted field. It reports only the first failure of each subject. Fields of erased subjects are not
 * failures.
 */
function fieldChecker(platform: Ports, account: string, count: Count) {
  const reported = new Set<string>();
  return async function* checkFields(event: Recorded): AsyncGenerator<Finding> {
    const { account: owner } = parseStream(event.stream);
    for (const [name, value] of Object.entries(event.data)) {
      if (!isEncrypted(value) || reported.has(value.subject)) continue;
      count('encrypted-field');
      const key = await platform.keys.subjectKey(owner, value.subject).catch(() => 'unreadable' as const);
      if (key === 'unreadable') {
        reported.add(value.subject);
        const detail = 'the key cannot be read, and without it no personal data of this subject decrypts';
        yield failure('key', `${account} ${value.subject}`, detail);
        continue;
      }
      const decrypts = await decrypt(platform, owner, value).then(
        () => true,
        () => false,
      );
      if (decrypts) continue;
      reported.add(value.subject);
      const detail = `field ${name} does not decrypt with the key of ${value.subject}`;
      yield failure('encrypted-field', `${event.stream} ${event.version}`, detail);
    }
  };
}

/** Reports commits that a stream has and the ledger lacks. */
export function* checkCovered(
  account: string,
  ledgerHeads: Map<string, Head>,
  heads: Iterable<[stream: string, version: number]>,
): Generator<Finding> {
  for (const [stream, version] of heads) {
    const covered = ledgerHeads.get(stream)?.version ?? 0;
    if (version > covered)
      yield failure('ledger', account, `the ledger lacks commits ${covered + 1} to ${version} of ${stream}`);
  }
}
