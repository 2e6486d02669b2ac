/**
 * Checks unfinished work: every open run will go on, its working records can be read, and its tally can become
 * complete. It also checks credentials, because the next run needs them.
 */
import { sha256 } from '../activity/commit.ts';
import { getCredentials } from '../commands/credentials.ts';
import { connectorFor } from '../connectors/index.ts';
import { allOf } from '../domain/pages.ts';
import type { JsonObject, Platform } from '../domain/ports.ts';
import type { PlanPosition } from '../processors/backup/list-source.ts';
import { partRecord, type StoredPart } from '../processors/backup/parts.ts';
import { type RunRef, runRecord } from '../processors/backup/run.ts';
import { loadBytes, type SavedBytes } from '../processors/backup/saved-bytes.ts';
import { DamagedPiece, readPiece } from '../processors/backup/sorter.ts';
import { openRuns } from '../processors/backup/watch.ts';
import { decryptList } from '../processors/backup/work.ts';
import { VaultDamage } from '../vault/damage.ts';
import type { VaultKeys } from '../vault/keys.ts';
import { decodeList, partAad } from '../vault/part.ts';
import { type Count, type Finding, failure, info } from './finding.ts';
import type { LogFacts, UnfinishedRun } from './log-facts.ts';
import { reasonOf } from './reading.ts';

export type WorkChecks = {
  count: Count;
  /** Undefined when the account's key is gone. Encrypted records are not checked then. */
  keys: VaultKeys | undefined;
  /** Nothing should be under way: unfinished work is a failure. */
  quiet: boolean;
  /** Whether a message or event that continues the run is on its way. Default: for 15 minutes after the request. */
  isAwaited?: (runRef: RunRef) => boolean;
};

export async function* checkWork(
  platform: Platform,
  account: string,
  facts: LogFacts,
  checks: WorkChecks,
): AsyncGenerator<Finding> {
  const unfinished = checks.quiet ? failure : info;
  const watched = await watchedRuns(platform, account);
  for (const run of facts.unfinished.values()) {
    checks.count('run');
    yield checkProgress(platform, run, watched.has(run.runRef.runId), checks);
    yield* checkRecords(platform, run, checks);
  }
  for (const runId of watched) {
    if (!facts.unfinished.has(runId)) yield unfinished('run', runId, 'it ended, but is still in the list of open runs');
  }
  for (const [id, { size, until }] of facts.zips) {
    if (size === null && Date.parse(until) > platform.now()) yield unfinished('export', id, 'it is being prepared');
  }
  if (checks.keys) yield* checkCredentials(platform, account, facts, checks.count);
}

async function watchedRuns({ records }: Platform, account: string): Promise<Set<string>> {
  const watched = new Set<string>();
  for await (const { sk, data } of allOf((page) => records.query(openRuns, page)))
    if (data.account === account) watched.add(sk);
  return watched;
}

const defaultWaitMs = 15 * 60_000;

function checkProgress(
  platform: Platform,
  run: UnfinishedRun,
  isWatched: boolean,
  { quiet, isAwaited }: WorkChecks,
): Finding {
  const { runRef, started, ended, requestedAt } = run;
  const isNew = !started && platform.now() - Date.parse(requestedAt) < defaultWaitMs;
  const continues = isWatched || (isAwaited ? isAwaited(runRef) : isNew);
  const state = ended
    ? 'its backup chain has ended it, but its own stream has not'
    : started
      ? 'it is running'
      : 'it is about to start';
  if (!continues) return failure('run', runRef.runId, `${state}, and nothing will continue it`);
  return (quiet ? failure : info)('run', runRef.runId, state);
}

/** Working records by name. A large run has many lists and parts of up to 256 KB each, so these are empty here. */
type WorkRecords = Map<string, JsonObject>;
const isSmall = (name: string) => name === 'plan' || name === 'tally' || name.startsWith('batch-');

/** Checks the working state that later steps of the run need. */
async function* checkRecords(
  platform: Platform,
  run: UnfinishedRun,
  { keys, count }: WorkChecks,
): AsyncGenerator<Finding> {
  const { runRef, stored } = run;
  const records: WorkRecords = new Map();
  try {
    const all = allOf((page) => platform.records.query(runRecord(runRef, '').pk, page));
    for await (const { sk, data } of all) records.set(sk, isSmall(sk) ? data : {});
  } catch {
    return yield failure('work', runRef.runId, 'its working records cannot all be read');
  }
  yield* checkTally(run, records, count);
  if (!keys || run.ended === 'RunEnded') return;
  for (const [sk, data] of records) {
    const isPosition = sk === 'plan' && run.planned === null && typeof data.cursor === 'string';
    const batch = Number(data.batch);
    const isBatch = sk.startsWith('batch-') && !stored.has(batch) && !records.has(partRecord(batch));
    if (!isPosition && !isBatch) continue;
    count('work');
    const name = String(isPosition ? data.cursor : data.work);
    try {
      const position = await readWork(platform, runRef, keys, name);
      if (isPosition && data.done !== true) yield* checkPieces(platform, run, keys, position.listing.pieces, count);
    } catch (error) {
      yield failure('work', `${runRef.runId} ${name}`, reasonOf(error));
    }
  }
  const parts = new Set([...stored.keys()].map(partRecord));
  for (const name of records.keys()) if (name.startsWith('part-')) parts.add(name);
  for (const name of parts) {
    count('part');
    const number = Number(name.slice('part-'.length));
    const fault = await faultOfPart(platform, keys, runRef, number, stored.get(number));
    if (fault) yield failure('part', `${runRef.runId} ${name}`, fault);
  }
}

/** The `more` of a list: the position of a plan, or the origin of a run. @throws VaultDamage */
async function readWork(platform: Platform, runRef: RunRef, keys: VaultKeys, where: string): Promise<PlanPosition> {
  const record = await platform.records.get(runRecord(runRef, where));
  const bytes = record && (await loadBytes(platform, record.data as SavedBytes));
  if (!bytes) throw new VaultDamage('work', 'it is missing');
  return decryptList<PlanPosition>({ ...runRef, keys }, { where, bytes }).more;
}

/** The plan merges the sorted pieces of a listing when it is complete. */
async function* checkPieces(
  { blobs }: Platform,
  { runRef }: UnfinishedRun,
  keys: VaultKeys,
  pieces: string[],
  count: Count,
): AsyncGenerator<Finding> {
  for (const piece of pieces) {
    count('work');
    try {
      for await (const _frame of readPiece(piece, { blobs, keys }));
    } catch (error) {
      const detail = error instanceof DamagedPiece ? 'it is missing or damaged' : reasonOf(error);
      yield failure('work', `${runRef.runId} ${piece.slice(piece.lastIndexOf('/') + 1)}`, detail);
    }
  }
}

/** The tally must equal the number of batches marked as stored, and the log must have each of them. */
function* checkTally(
  { runRef, stored, planned }: UnfinishedRun,
  records: WorkRecords,
  count: Count,
): Generator<Finding> {
  const marked = [...records.keys()].filter((sk) => sk.startsWith('stored-'));
  const tally = records.get('tally');
  if (!tally && marked.length === 0) return;
  count('tally');
  const fault = (detail: string) => failure('tally', runRef.runId, detail);
  if (Number(tally?.stored ?? 0) !== marked.length)
    yield fault(`it counts ${tally?.stored ?? 0} stored batches, but ${marked.length} are marked as stored`);
  for (const sk of marked) {
    const number = sk.slice('stored-'.length);
    if (!stored.has(Number(number))) yield fault(`batch ${number} is marked as stored, but the log does not have it`);
  }
  if (typeof tally?.total === 'number' && planned !== null && tally.total !== planned)
    yield fault(`it waits for ${tally.total} batches, but ${planned} are planned`);
}

async function faultOfPart(
  platform: Platform,
  keys: VaultKeys,
  runRef: RunRef,
  number: number,
  loggedHash: string | undefined,
): Promise<string | undefined> {
  try {
    const record = await platform.records.get(runRecord(runRef, partRecord(number)));
    if (!record) return 'the log names it, but it is missing';
    const part = record.data as StoredPart;
    const bytes = await loadBytes(platform, part);
    if (!bytes) return 'its blob is missing';
    if (loggedHash !== undefined && loggedHash !== part.partHash) return 'it is another part than the log names';
    if (sha256(bytes) !== part.partHash) return 'its hash does not match its bytes';
    decodeList(keys, partAad(runRef.account, runRef.runId, number), bytes);
    return undefined;
  } catch (error) {
    return reasonOf(error);
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
    const credentials = await getCredentials(platform, account, id).catch(() => 'unreadable' as const);
    if (credentials === 'unreadable') yield failure('credentials', id, 'they cannot be read or decrypted');
    else if (!credentials) yield failure('credentials', id, 'they are missing');
  }
}
