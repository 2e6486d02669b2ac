/**
 * Checks unfinished work: every open run has tasks, its working records can be read, and its parts are counted. It also
 * checks credentials, because the next run needs them.
 */
import { sha256 } from '../activity/commit.ts';
import { getCredentials } from '../commands/credentials.ts';
import { connectorFor } from '../connectors/index.ts';
import { allOf } from '../domain/pages.ts';
import type { JsonObject, Platform } from '../domain/ports.ts';
import type { PlanPosition } from '../processors/backup/list-source.ts';
import { partRecord, type StoredPart } from '../processors/backup/parts.ts';
import type { PlanState } from '../processors/backup/plan-run.ts';
import { type RunRef, runRecord } from '../processors/backup/run.ts';
import { loadBytes, type SavedBytes } from '../processors/backup/saved-bytes.ts';
import { DamagedPiece, readPiece } from '../processors/backup/sorter.ts';
import { decryptList } from '../processors/backup/work.ts';
import type { GroupData } from '../tasks/task.ts';
import { openGroups, readTask } from '../tasks/task-records.ts';
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
  const groups = await openGroups(platform.records, account);
  for (const run of facts.unfinished.values()) {
    checks.count('run');
    const group = groups.get(run.runRef.runId);
    yield checkProgress(platform, run, group !== undefined, checks);
    yield* checkRecords(platform, run, group, checks);
  }
  for (const [id, { kind }] of groups) {
    if (kind === 'backup' && !facts.unfinished.has(id)) yield unfinished('run', id, 'it ended, but still has tasks');
  }
  for (const [id, { size, until }] of facts.zips) {
    if (size === null && Date.parse(until) > platform.now()) yield unfinished('export', id, 'it is being prepared');
  }
  if (checks.keys) yield* checkCredentials(platform, account, facts, checks.count);
}

const defaultWaitMs = 15 * 60_000;

function checkProgress(
  platform: Platform,
  { runRef, requestedAt }: UnfinishedRun,
  hasTasks: boolean,
  { quiet, isAwaited }: WorkChecks,
): Finding {
  const isNew = platform.now() - Date.parse(requestedAt) < defaultWaitMs;
  if (!hasTasks && !(isAwaited ? isAwaited(runRef) : isNew))
    return failure('run', runRef.runId, 'it is open, and nothing will continue it');
  return (quiet ? failure : info)('run', runRef.runId, hasTasks ? 'it is running' : 'it is about to start');
}

/** Working records by name. A large run has many lists and parts of up to 256 KB each, so these are empty here. */
type WorkRecords = Map<string, JsonObject>;
const isSmall = (name: string) => name.startsWith('batch-');

/** Checks the working state that later steps of the run need. */
async function* checkRecords(
  platform: Platform,
  run: UnfinishedRun,
  group: GroupData | undefined,
  { keys, count }: WorkChecks,
): AsyncGenerator<Finding> {
  const { runRef } = run;
  const records: WorkRecords = new Map();
  try {
    const all = allOf((page) => platform.records.query(runRecord(runRef, '').pk, page));
    for await (const { sk, data } of all) records.set(sk, isSmall(sk) ? data : {});
  } catch {
    return yield failure('work', runRef.runId, 'its working records cannot all be read');
  }
  const parts = [...records.keys()].filter((name) => name.startsWith('part-'));
  // Self-hosted, the doctor reads one state of the database. On AWS a part may come between the two reads.
  if (group && parts.length < group.done)
    yield failure('run', runRef.runId, `it counts ${group.done} stored batches, but has ${parts.length} parts`);
  if (!keys) return;
  let cursor: string | null = null;
  try {
    const plan = await readTask(platform.records, { account: runRef.account, group: runRef.runId, name: 'plan' });
    cursor = (plan?.state as PlanState | undefined)?.cursor ?? null;
  } catch (error) {
    yield failure('work', `${runRef.runId} plan`, reasonOf(error));
  }
  const open = [...records].filter(([sk, { batch }]) => isSmall(sk) && !records.has(partRecord(Number(batch))));
  for (const name of [...open.map(([, { work }]) => String(work)), ...(cursor === null ? [] : [cursor])]) {
    count('work');
    try {
      const position = await readWork(platform, runRef, keys, name);
      if (name === cursor) yield* checkPieces(platform, run, keys, position.listing.pieces, count);
    } catch (error) {
      yield failure('work', `${runRef.runId} ${name}`, reasonOf(error));
    }
  }
  for (const name of parts) {
    count('part');
    const fault = await faultOfPart(platform, keys, runRef, Number(name.slice('part-'.length)));
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

async function faultOfPart(
  platform: Platform,
  keys: VaultKeys,
  runRef: RunRef,
  number: number,
): Promise<string | undefined> {
  try {
    const record = await platform.records.get(runRecord(runRef, partRecord(number)));
    if (!record) return 'it is missing';
    const part = record.data as StoredPart;
    const bytes = await loadBytes(platform, part);
    if (!bytes) return 'its blob is missing';
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
