/** Runs, newest first. The progress of an open run is a record that its tasks change. */
import { decryptFields } from '../activity/personal-data.ts';
import type { BackupChainEvent } from '../domain/backup-chain.ts';
import type { Recorded } from '../domain/event.ts';
import type { JsonObject, Page, Platform, RowChange } from '../domain/ports.ts';
import { type Cost, type Counts, noProgress, progressKey, type RunError, type RunProgress } from '../domain/run.ts';
import { deriveVaultKeys } from '../vault/keys.ts';
import { errorsPerPage, getErrors } from '../vault/run-errors.ts';
import { accountOf, getItem, itemKey, listed, listItems, listKey, type Projection } from './engine/projection.ts';

/** Why a run was requested. */
export type RunTrigger = 'manual' | 'retry' | 'api-key';

export type RunView = {
  id: string;
  kind: 'backup';
  trigger: RunTrigger;
  jobId: string;
  sourceId: string;
  status: 'requested' | 'running' | 'paused' | 'succeeded' | 'partial' | 'failed' | 'cancelled';
  requestedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  progress: Counts & { percent: number | null };
  errors: RunError[];
  cost: Cost;
  /** Of other kinds than backups. */
  result: null;
};

/** The key of a run in the list of its job. The list sorts by the version of the backup chain. A job has one source. */
function positionInChain(account: string, run: { jobId: string; sourceId: string }, version: number) {
  return {
    ...listKey('runs', account, `job#${run.jobId}`),
    sk: `${run.sourceId}#${String(version).padStart(10, '0')}`,
  };
}

export const runs: Projection = {
  name: 'runs',
  version: 4,
  streams: ['backup-chain'],
  // A user who sees a finished run sees its files and numbers too.
  dependsOn: { projections: ['files', 'analytics-aggregates'] },
  on: {
    RunRequested: (event) => {
      const { runId: id, jobId, sourceId, retryOf } = event.data;
      const account = accountOf(event);
      const trigger: RunTrigger = retryOf ? 'retry' : event.actor.type === 'api-key' ? 'api-key' : 'manual';
      return [
        { op: 'update', ...itemKey('runs', account, id), set: { id, trigger, jobId, sourceId, requestedAt: event.at } },
        listed('runs', account, event.at, id),
        { op: 'put', ...positionInChain(account, { jobId, sourceId }, event.version), data: { id } },
      ];
    },
    RunPaused: (event) => [
      { op: 'update', ...itemKey('runs', accountOf(event), event.data.runId), set: { isPaused: true } },
    ],
    RunResumed: (event) => [
      { op: 'update', ...itemKey('runs', accountOf(event), event.data.runId), set: { isPaused: false } },
    ],
    RestorePointCreated: (event) => {
      const { errors, errorPages } = event.data;
      return [finished(event, { errors, errorPages })];
    },
    RunEnded: (event) => [finished(event, failureOf(event.data))],
  },
};

export type RunEnd = Recorded<Extract<BackupChainEvent, { type: 'RestorePointCreated' | 'RunEnded' }>>;

function finished(event: Pick<RunEnd, 'stream' | 'at' | 'data'>, fields: JsonObject): RowChange {
  return { op: 'update', ...itemKey('runs', accountOf(event), event.data.runId), set: endOf(event, fields) };
}

function endOf({ at, data }: Pick<RunEnd, 'at' | 'data'>, fields: JsonObject): JsonObject {
  const { outcome, counts, cost, startedAt } = data;
  return { finishedAt: at, startedAt, outcome, final: { ...counts, ...cost }, ...fields };
}

type Failure = Extract<BackupChainEvent, { type: 'RunEnded' }>['data'];

function failureOf({ reason, isPlanned = false, bytes }: Failure): JsonObject {
  return { reason, isPlanned, bytes: bytes ?? null };
}

/** The id of the run whose row the event changes. */
export function runOf({ type, data }: Pick<Recorded, 'type' | 'data'>): string | undefined {
  return type in runs.on ? (data.runId as string) : undefined;
}

/** The row of a run as of its end. `row` may lack its last changes, or all. */
export function finishedRow(row: JsonObject, event: RunEnd): JsonObject {
  const { runId: id, jobId, sourceId } = event.data;
  const fields: JsonObject =
    'reason' in event.data ? failureOf(event.data) : { errors: event.data.errors, errorPages: event.data.errorPages };
  return { id, jobId, sourceId, requestedAt: event.at, ...row, ...endOf(event, fields) };
}

export async function getRun(platform: Platform, account: string, id: string): Promise<RunView | undefined> {
  const row = await getItem(platform, 'runs', account, id);
  if (!row?.requestedAt) return undefined;
  const [progress] = row.outcome ? [] : await platform.records.getMany([progressKey(account, id)]);
  return runView(platform, account, row, progress?.data as RunProgress | undefined);
}

/** With `status` a page may have fewer runs than the limit, or none, although more follow. */
export async function listRuns(platform: Platform, account: string, page: RunPage): Promise<Page<RunView>> {
  const { jobId, status, ...rest } = page;
  if (status === undefined) return readRuns(platform, account, rest, jobId);
  let read = await readRuns(platform, account, rest, jobId, status);
  for (let reads = 1; read.items.length === 0 && read.next !== null && reads < maxReads; reads++)
    read = await readRuns(platform, account, { ...rest, cursor: read.next }, jobId, status);
  return read;
}

type RunPage = { limit: number; cursor?: string; jobId?: string | undefined; status?: RunView['status'] | undefined };

/** Pages that a list of one status reads until it finds a run. */
const maxReads = 10;

/** A page of runs, without those of another status. */
async function readRuns(
  platform: Platform,
  account: string,
  rest: { limit: number; cursor?: string },
  jobId: string | undefined,
  status?: RunView['status'],
): Promise<Page<RunView>> {
  const { items, next } = await listItems(platform, 'runs', account, {
    ...rest,
    order: 'desc',
    ...(jobId ? { list: `job#${jobId}` } : {}),
  });
  const open = items.filter(({ outcome }) => !outcome).map(({ id }) => progressKey(account, String(id)));
  const found = open.length > 0 ? await platform.records.getMany(open) : [];
  const progress = new Map(found.map(({ pk, data }) => [pk, data as RunProgress]));
  const view = (row: JsonObject) =>
    runView(platform, account, row, progress.get(progressKey(account, String(row.id)).pk));
  const wanted = items.filter(({ outcome }) => !status || !outcome || outcome === status);
  const views = await Promise.all(wanted.map(view));
  return { items: views.filter((run) => !status || run.status === status), next };
}

/** A page of the failed and skipped files of a run, undefined when the run does not exist. */
export async function listRunErrors(
  platform: Platform,
  account: string,
  id: string,
  page: { limit: number; cursor?: string },
): Promise<Page<RunError> | undefined> {
  const row = await getItem(platform, 'runs', account, id);
  if (!row?.requestedAt) return undefined;
  const from = Number(page.cursor ?? 0);
  const errors = row.errorPages
    ? await storedErrors(platform, account, id, from, page.limit)
    : (await runView(platform, account, row)).errors.slice(from);
  const items = errors.slice(0, page.limit);
  return { items, next: errors.length > page.limit ? String(from + items.length) : null };
}

/** Up to `limit` + 1 errors: the extra one shows that another page follows. */
async function storedErrors(
  platform: Platform,
  account: string,
  id: string,
  from: number,
  limit: number,
): Promise<RunError[]> {
  const key = await platform.keys.accountKey(account);
  if (!key) return [];
  const vault = { account, keys: deriveVaultKeys(key), blobs: platform.blobs };
  const first = Math.floor(from / errorsPerPage);
  const pages = await Promise.all([first, first + 1].map((number) => getErrors(vault, id, number)));
  return pages.flat().slice(from - first * errorsPerPage, from - first * errorsPerPage + limit + 1);
}

/** The API's view of a row and of the progress of an open run, with personal data decrypted. */
export async function runView(
  platform: Platform,
  account: string,
  row: JsonObject,
  progress?: RunProgress,
): Promise<RunView> {
  const fields = await decryptFields(platform, account, row);
  const { id, trigger, jobId, sourceId, requestedAt, finishedAt, outcome, isPaused, errors, reason } = fields;
  const { requests, usd, startedAt, isPlanned, bytesTotal, bytesHandled, ...counts } = {
    ...(progress ?? noProgress('')),
    ...(row.final as (Counts & Cost) | undefined),
    ...(outcome && { startedAt: fields.startedAt as string | null, isPlanned: fields.isPlanned === true }),
    ...(row.bytes as Pick<RunProgress, 'bytesTotal' | 'bytesHandled'> | undefined),
  };
  const { filesDone, filesUnchanged, filesFailed, filesSkipped, filesTotal } = counts;
  const files = filesDone + filesUnchanged + filesFailed + filesSkipped;
  const [handled, total] = bytesTotal > 0 ? [bytesHandled, bytesTotal] : [files, filesTotal];
  const isBackup = outcome === 'succeeded' || outcome === 'partial';
  const cause = reason as { code: string; message: string } | null | undefined;
  const all = [...(cause ? [{ path: '', ...cause }] : []), ...((errors as RunError[] | null | undefined) ?? [])];
  return {
    id,
    kind: 'backup',
    trigger: trigger ?? 'manual',
    jobId,
    sourceId,
    status: outcome ?? (isPaused ? 'paused' : startedAt ? 'running' : 'requested'),
    requestedAt,
    startedAt: startedAt || null,
    finishedAt: finishedAt ?? null,
    progress: { ...counts, percent: isBackup ? 100 : isPlanned ? percent(handled, total) : null },
    errors: all.slice(0, 100),
    cost: { requests, usd },
    result: null,
  } as RunView;
}

/** At most 99: a run reaches 100 % with its restore point. */
function percent(handled: number, total: number): number {
  return total === 0 ? 99 : Math.min(99, Math.floor((100 * handled) / total));
}
