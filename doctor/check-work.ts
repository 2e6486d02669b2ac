/**
 * Whether everything under way can go on and will end: an open run that nobody looks after, a list of work that does not open, a
 * tally that can never be complete. And credentials, which the next run needs.
 */
import { sha256 } from '../activity/commit.ts';
import { getCredentials } from '../commands/credentials.ts';
import { connectorFor } from '../connectors/index.ts';
import type { Platform, StoredRecord } from '../domain/ports.ts';
import { type RunRef, runRecord } from '../processors/backup/run.ts';
import { openRuns } from '../processors/backup/watch.ts';
import { getEncrypted } from '../processors/backup/work.ts';
import type { VaultKeys } from '../vault/keys.ts';
import { decodePart } from '../vault/part.ts';
import { type Count, type Finding, failure, info } from './finding.ts';
import type { LogFacts, UnfinishedRun } from './log-facts.ts';

export type WorkChecks = {
  count: Count;
  /** Undefined once the account's key is gone; then nothing sealed is looked at. */
  keys: VaultKeys | undefined;
  /** Nothing may be under way: what has not ended is a failure. */
  quiet: boolean;
  /** Whether a message or wake-up for the run is on its way; where that cannot be told, a quarter of an hour is enough for it to come. */
  isAwaited?: (runRef: RunRef) => boolean;
};

export async function* checkWork(
  platform: Platform,
  account: string,
  facts: LogFacts,
  checks: WorkChecks,
): AsyncGenerator<Finding> {
  const watched = await watchedRuns(platform, account);
  for (const run of facts.unfinished.values()) {
    checks.count('run');
    yield progressOf(platform, run, watched.has(run.runRef.runId), checks);
    yield* checkRecords(platform, run, checks);
  }
  for (const runId of watched) {
    if (facts.unfinished.has(runId)) continue;
    yield (checks.quiet ? failure : info)('run', runId, 'it has ended, and is still on the list of open runs');
  }
  for (const [id, { size, until }] of facts.zips) {
    if (size === null && Date.parse(until) > platform.now())
      yield (checks.quiet ? failure : info)('export', id, 'it is being prepared');
  }
  if (checks.keys) yield* checkCredentials(platform, account, facts, checks.count);
}

async function watchedRuns({ records }: Platform, account: string): Promise<Set<string>> {
  const watched = new Set<string>();
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await records.query(openRuns, { limit: 1000, ...(cursor ? { cursor } : {}) });
    for (const { sk, data } of items) if (data.account === account) watched.add(sk);
    if (!next) return watched;
    cursor = next;
  }
}

const patience = 15 * 60_000;

function progressOf(
  platform: Platform,
  run: UnfinishedRun,
  isWatched: boolean,
  { quiet, isAwaited }: WorkChecks,
): Finding {
  const { runRef, started, ended, requestedAt } = run;
  const on =
    isWatched || (isAwaited ? isAwaited(runRef) : !started && platform.now() - Date.parse(requestedAt) < patience);
  const state = ended
    ? 'its line has ended it, and its own end is not on record'
    : started
      ? 'it is under way'
      : 'it is about to start';
  if (!on)
    return failure(
      'run',
      runRef.runId,
      `${state}, and nothing would ever go on with it: cancel it, and run the job again`,
    );
  return (quiet ? failure : info)('run', runRef.runId, state);
}

/** Its working records: only what a later step needs. */
async function* checkRecords(
  platform: Platform,
  run: UnfinishedRun,
  { keys, count }: WorkChecks,
): AsyncGenerator<Finding> {
  const { runRef, stored } = run;
  let records: Map<string, StoredRecord>;
  try {
    records = await allRecords(platform, runRef);
  } catch {
    return yield failure(
      'work',
      runRef.runId,
      'its working records cannot all be read: cancel it, and run the job again',
    );
  }
  yield* checkTally(run, records, count);
  if (!keys || run.ended === 'RunEnded') return;
  const opens = (where: string) =>
    getEncrypted(platform, keys, runRef, where).then(
      () => true,
      () => false,
    );
  for (const { sk, data } of records.values()) {
    const isStep = sk === 'plan' && run.planned === null && typeof data.cursor === 'string';
    const isBatch =
      sk.startsWith('batch-') && !stored.has(Number(data.batch)) && !records.has(partName(Number(data.batch)));
    if (!isStep && !isBatch) continue;
    count('work');
    const where = String(isStep ? data.cursor : data.work);
    if (!(await opens(where)))
      yield failure('work', `${runRef.runId} ${where}`, 'it does not open: cancel the run, and run the job again');
  }
  for (const sk of new Set([
    ...[...stored.keys()].map(partName),
    ...[...records.keys()].filter((name) => name.startsWith('part-')),
  ])) {
    count('part');
    const number = Number(sk.slice('part-'.length));
    const fault = await faultOfPart(platform, keys, runRef, number, records.get(sk), stored.get(number));
    if (fault) yield failure('part', `${runRef.runId} ${sk}`, `${fault}: cancel the run, and run the job again`);
  }
}

async function allRecords(platform: Platform, runRef: RunRef): Promise<Map<string, StoredRecord>> {
  const all = new Map<string, StoredRecord>();
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await platform.records.query(runRecord(runRef, '').pk, {
      limit: 1000,
      ...(cursor ? { cursor } : {}),
    });
    for (const record of items) all.set(record.sk, record);
    if (!next) return all;
    cursor = next;
  }
}

const partName = (number: number) => `part-${String(number).padStart(9, '0')}`;

/** The count has to be what is marked as counted, and that is on record. */
function* checkTally(
  { runRef, stored, planned }: UnfinishedRun,
  records: Map<string, StoredRecord>,
  count: Count,
): Generator<Finding> {
  const counted = [...records.keys()].filter((sk) => sk.startsWith('stored-'));
  const tally = records.get('tally')?.data;
  if (!tally && counted.length === 0) return;
  count('tally');
  const fault = (detail: string) => failure('tally', runRef.runId, detail);
  if (Number(tally?.stored ?? 0) !== counted.length)
    yield fault(`it says ${tally?.stored ?? 0} batches are stored, and ${counted.length} are marked so`);
  for (const sk of counted)
    if (!stored.has(Number(sk.slice('stored-'.length))))
      yield fault(`batch ${sk.slice(7)} is marked as stored, and is not on record`);
  if (typeof tally?.total === 'number' && planned !== null && tally.total !== planned)
    yield fault(`it waits for ${tally.total} batches, and ${planned} are planned`);
}

async function faultOfPart(
  { blobs }: Platform,
  keys: VaultKeys,
  { account, runId }: RunRef,
  number: number,
  record: StoredRecord | undefined,
  recordedHash: string | undefined,
): Promise<string | undefined> {
  if (!record) return 'it is on record, and gone';
  const { partHash, encrypted, blob } = record.data;
  const bytes =
    typeof encrypted === 'string'
      ? Buffer.from(encrypted, 'base64')
      : await blobs.get(String(blob)).catch(() => undefined);
  if (!bytes) return 'its blob is gone';
  if (recordedHash !== undefined && recordedHash !== partHash) return 'it is not the one on record';
  if (sha256(bytes) !== partHash) return 'it is not what its hash says';
  try {
    decodePart(keys, account, runId, number, bytes);
    return undefined;
  } catch {
    return 'it does not open';
  }
}

async function* checkCredentials(
  platform: Platform,
  account: string,
  { sources }: LogFacts,
  count: Count,
): AsyncGenerator<Finding> {
  for (const [id, kind] of sources) {
    const connector = connectorFor(kind);
    if (!connector) yield failure('source', id, `this version cannot back up sources of type ${kind}`);
    if (!connector?.credentials) continue;
    count('credentials');
    const found = await getCredentials(platform, account, id).catch(() => 'unreadable' as const);
    if (found === 'unreadable')
      yield failure('credentials', id, 'they do not open: enter them again (PUT /sources/{id})');
    else if (!found) yield failure('credentials', id, 'they are gone: enter them again (PUT /sources/{id})');
  }
}
