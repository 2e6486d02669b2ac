/**
 * The task `store`: stores one batch in the engine. Its end puts the part of the manifest and counts it, in one
 * transaction. So a repeat or a slow concurrent worker changes nothing.
 */
import type { JsonObject, RecordWrite } from '../../domain/ports.ts';
import type { BatchBytes, BatchCounts, Cost } from '../../domain/run.ts';
import type { Outcome, Task, TaskKind } from '../../tasks/task.ts';
import type { Deployment } from '../deployment.ts';
import { defaultLimits } from '../limits.ts';
import { metered } from '../meter.ts';
import type { Paused, StoreCalls } from './engine.ts';
import { failRun, leaveRun, retryOf } from './fail-run.ts';
import { engineOf } from './in-thread-engine.ts';
import { accessSource } from './open-source.ts';
import { partWrite } from './parts.ts';
import { loadOpen, progressWrite, type RunRef, type RunState, runRecord, runRefOf, vaultKeys } from './run.ts';
import { checkpointOf } from './store-checkpoints.ts';
import { findWork, loadWork, type Saved, saveWork } from './work.ts';

type StoreState = RunState & { number: number };

export const storeKind: TaskKind<Deployment, StoreState> = {
  name: 'store',
  v: 1,
  queue: 'data',
  step: storeBatch,
  onError: retryOf,
  fail: failRun,
  leave: leaveRun,
};

async function storeBatch(deployment: Deployment, task: Task<StoreState>): Promise<Outcome<StoreState>> {
  const { platform } = deployment;
  const { number } = task.state;
  const runRef = runRefOf(task.ref, task.state);
  if (!(await loadOpen(platform, runRef))) return { type: 'done' };
  const batch = (await platform.records.get(runRecord(runRef, `batch-${number}`)))?.data as BatchRecord | undefined;
  const where = String(batch?.work);
  const work = { where, bytes: await loadWork(platform, runRef, where) };
  const stored = await makePart(deployment, task, runRef, { number, work, counted: batch?.counted });
  if ('paused' in stored) return { type: 'again', state: task.state };
  await deployment.reached?.('store:part-saved');
  const { counts, cost, uncounted } = stored;
  const writes: RecordWrite[] = [
    await partWrite(platform, runRef, number, stored),
    progressWrite(platform, runRef, { add: { ...counts, ...cost, ...uncounted } }),
  ];
  return { type: 'done', writes };
}

/** `counted`: bytes of this batch that the progress of the run has already, from before it became a task. */
export type BatchRecord = { batch: number; work: string; counted?: BatchBytes };

/** `uncounted`: bytes that the progress of the run does not have yet. */
export type StoredBatch = { part: Uint8Array; counts: BatchCounts; cost: Cost; uncounted: BatchBytes };

/** `progress`: fields that each checkpoint sets in the progress of the run. */
type Batch = { number: number; work: Saved; counted?: BatchBytes | undefined; progress?: JsonObject };

/** Stores the files of a batch. `work` is its list. An earlier attempt may have left a checkpoint. */
export async function makePart<S extends RunState>(
  deployment: Deployment,
  task: Pick<Task<S>, 'state' | 'fence' | 'isCautious' | 'stop' | 'isOver' | 'checkpoint'>,
  runRef: RunRef,
  { number, work, counted: before, progress }: Batch,
): Promise<StoredBatch | Paused> {
  const meter = metered(deployment.platform, deployment.prices);
  const { platform } = meter;
  const keys = await vaultKeys(platform, runRef.account);
  const source = await accessSource({ ...deployment, platform }, runRef);
  let counted = task.state.counted ?? before ?? { bytesRead: 0, bytesHandled: 0 };
  const calls: StoreCalls = {
    reached: async (step) => deployment.reached?.(step),
    async checkpoint({ where, bytes, isProgress, ...reached }) {
      await saveWork(platform, runRef, { where, bytes });
      const next = larger(counted, reached);
      const change = { add: difference(next, counted), ...(progress && { set: progress }) };
      const state = { ...task.state, counted: next };
      const writes = isProgress ? [progressWrite(platform, runRef, change)] : [];
      await task.checkpoint(state, { isProgress, writes });
      task.state = state;
      counted = next;
      await deployment.reached?.('store:checkpoint');
    },
    isOver: () => task.isOver(),
  };
  const { isCautious } = task;
  const { limits = defaultLimits } = deployment;
  const resume = task.fence > 1 || before ? await findWork(platform, runRef, checkpointOf(work)) : null;
  const request = { runRef, keys, source, batch: number, work, resume, isCautious, limits };
  const result = await engineOf(deployment).store(request, calls, task.stop);
  if ('paused' in result) return result;
  const { part, requests, bytesHandled } = result;
  meter.count(requests);
  const all = larger(counted, { bytesRead: result.counts.bytesRead, bytesHandled });
  const counts = { ...result.counts, bytesRead: all.bytesRead };
  return { part, counts, cost: meter.cost(), uncounted: difference(all, counted) };
}

/** Progress never goes back. A file that changes is read again, and one that fails late was read too. */
function larger(a: BatchBytes, b: BatchBytes): BatchBytes {
  return {
    bytesRead: Math.max(a.bytesRead, b.bytesRead),
    bytesHandled: Math.max(a.bytesHandled, b.bytesHandled),
  };
}

function difference(a: BatchBytes, b: BatchBytes): BatchBytes {
  return { bytesRead: a.bytesRead - b.bytesRead, bytesHandled: a.bytesHandled - b.bytesHandled };
}
