/**
 * Runs with their progress, newest first. Streams of three types write to the row of a run, in any order. So each event
 * changes fields of its own.
 */
import { decryptFields } from '../activity/personal-data.ts';
import { backupChainId } from '../domain/backup-chain.ts';
import { streamName } from '../domain/event.ts';
import type { JsonObject, Page, Platform } from '../domain/ports.ts';
import type { Cost, Counts, RunError } from '../domain/run.ts';
import { deriveVaultKeys } from '../vault/keys.ts';
import { errorsPerPage, getErrors } from '../vault/run-errors.ts';
import { accountOf, getItem, itemKey, listed, listItems, listKey, type Projection } from './engine/projection.ts';

export type RunView = {
  id: string;
  jobId: string;
  sourceId: string;
  status: 'requested' | 'running' | 'succeeded' | 'partial' | 'failed' | 'cancelled';
  requestedAt: string;
  startedAt: string | null;
  finishedAt: string | null;
  progress: Counts & { percent: number | null };
  errors: RunError[];
  cost: Cost;
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
  version: 2,
  streams: ['backup-chain', 'run', 'batch'],
  // A finished run implies that its files are listed and counted. Its restore point is in the stream of the backup
  // chain, and `RunFinished` in the stream of the run may arrive first.
  dependsOn: {
    projections: ['files', 'analytics-aggregates'],
    waitFor: {
      RunFinished: (event) => {
        const { manifest, jobId, sourceId } = event.data;
        return manifest ? streamName(accountOf(event), 'backup-chain', backupChainId(jobId, sourceId)) : undefined;
      },
    },
  },
  on: {
    RunRequested: (event) => {
      const { runId: id, jobId, sourceId } = event.data;
      const account = accountOf(event);
      return [
        { op: 'update', ...itemKey('runs', account, id), set: { id, jobId, sourceId, requestedAt: event.at } },
        listed('runs', account, event.at, id),
        { op: 'put', ...positionInChain(account, { jobId, sourceId }, event.version), data: { id } },
      ];
    },
    RunStarted: (event) => [
      { op: 'update', ...itemKey('runs', accountOf(event), event.data.runId), set: { startedAt: event.at } },
    ],
    RunPlanned: (event) => {
      const { runId, filesTotal, filesUnchanged } = event.data;
      return [{ op: 'update', ...itemKey('runs', accountOf(event), runId), set: { filesTotal, filesUnchanged } }];
    },
    BatchStored: (event) => {
      const { runId, counts, cost } = event.data;
      return [{ op: 'update', ...itemKey('runs', accountOf(event), runId), add: { ...counts, ...cost } }];
    },
    RunFinished: (event) => {
      const { runId, outcome, counts, cost, errors, errorPages, reason } = event.data;
      const final = { finishedAt: event.at, outcome, final: { ...counts, ...cost }, errors, errorPages, reason };
      return [{ op: 'update', ...itemKey('runs', accountOf(event), runId), set: final }];
    },
  },
};

export async function getRun(platform: Platform, account: string, id: string): Promise<RunView | undefined> {
  const row = await getItem(platform, 'runs', account, id);
  return row?.requestedAt ? runView(platform, account, row) : undefined;
}

export async function listRuns(
  platform: Platform,
  account: string,
  page: { limit: number; cursor?: string; jobId?: string | undefined },
): Promise<Page<RunView>> {
  const { jobId, ...rest } = page;
  const { items, next } = await listItems(platform, 'runs', account, {
    ...rest,
    order: 'desc',
    ...(jobId ? { list: `job#${jobId}` } : {}),
  });
  return { items: await Promise.all(items.map((row) => runView(platform, account, row))), next };
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

/** The API's view of a row, with personal data decrypted. */
export async function runView(platform: Platform, account: string, row: JsonObject): Promise<RunView> {
  const {
    id,
    jobId,
    sourceId,
    requestedAt,
    startedAt,
    finishedAt,
    outcome,
    errors,
    errorPages: _,
    reason,
    ...live
  } = await decryptFields(platform, account, row);
  const final = (row.final ?? {}) as { [field: string]: number | undefined };
  // `RunFinished` counts only what was committed. A run without a restore point shows the counts of its batches.
  const hasRestorePoint = outcome === 'succeeded' || outcome === 'partial';
  const count = (field: string) =>
    hasRestorePoint ? (final[field] ?? 0) : Math.max(Number(live[field] ?? 0), final[field] ?? 0);
  const handled = count('filesDone') + count('filesUnchanged') + count('filesFailed') + count('filesSkipped');
  const planned = live.filesTotal !== undefined;
  const cause = reason as { code: string; message: string } | null | undefined;
  return {
    id,
    jobId,
    sourceId,
    status: outcome ?? (startedAt ? 'running' : 'requested'),
    requestedAt,
    startedAt: startedAt ?? null,
    finishedAt: finishedAt ?? null,
    progress: {
      filesTotal: count('filesTotal'),
      filesDone: count('filesDone'),
      filesUnchanged: count('filesUnchanged'),
      filesDeleted: count('filesDeleted'),
      filesFailed: count('filesFailed'),
      filesSkipped: count('filesSkipped'),
      bytesRead: count('bytesRead'),
      bytesStored: count('bytesStored'),
      percent: hasRestorePoint ? 100 : planned ? percent(handled, count('filesTotal')) : null,
    },
    errors: [...(cause ? [{ path: '', ...cause }] : []), ...((errors as RunError[] | null | undefined) ?? [])].slice(
      0,
      100,
    ),
    cost: { requests: count('requests'), usd: count('usd') },
  } as RunView;
}

/** At most 99: a run reaches 100 % with its restore point. */
function percent(handled: number, total: number): number {
  return total === 0 ? 99 : Math.min(99, Math.floor((100 * handled) / total));
}
