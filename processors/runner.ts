/**
 * Handles the messages of the queues. A message is done when its handler resolves. Otherwise the queue sends it again.
 */
import { decode } from '../activity/decode.ts';
import { SourceProblem } from '../connectors/connector.ts';
import type { BackupChainEvent } from '../domain/backup-chain.ts';
import { type ErrorCode, Problem } from '../domain/errors.ts';
import { parseStream } from '../domain/event.ts';
import type { JsonObject } from '../domain/ports.ts';
import { commitRun } from './backup/commit-run.ts';
import { failRun, finishEndedRun } from './backup/fail-run.ts';
import { planRun } from './backup/plan-run.ts';
import type { RunRef, Task } from './backup/run.ts';
import { storeBatch } from './backup/store-batch.ts';
import type { Deployment } from './deployment.ts';
import { downloadRequested, prepareDownload } from './export/prepare-download.ts';
import { maxReceives } from './index.ts';

/**
 * `deadline` (ms since the epoch): when to stop and leave the rest to another message. It may become earlier during the
 * work.
 */
export type Delivery = { receives: number; readonly deadline: number };

export async function handleMessage(deployment: Deployment, body: JsonObject, delivery: Delivery): Promise<void> {
  if (body.type === downloadRequested)
    return prepareDownload(deployment, body, delivery, delivery.receives >= maxReceives);
  const task = await taskOf(deployment, body);
  if (!task) return;
  try {
    await perform(deployment, task, delivery);
  } catch (error) {
    const reason = reasonOf(error, delivery.receives);
    if (!reason && error instanceof SourceProblem) {
      const { runId, type } = task;
      const code = sourceCode(error);
      deployment.platform.log.warn('a step of a run failed and will be tried again', { runId, task: type, code });
    }
    if (!reason) throw error;
    deployment.platform.log.warn('run failed', { runId: task.runId, task: task.type, code: reason.code });
    await failRun(deployment, runRefOf(task), reason);
  }
}

function perform(deployment: Deployment, task: Task, delivery: Delivery): Promise<void> {
  const runRef = runRefOf(task);
  switch (task.type) {
    case 'plan':
      return planRun(deployment, runRef, delivery);
    case 'store':
      return storeBatch(deployment, runRef, task.batch, task.work);
    case 'commit':
      return commitRun(deployment, runRef);
    case 'finish':
      return finishEndedRun(deployment, runRef);
    default:
      // A newer version may have sent it, so it must not be dropped.
      throw new Error(`This version knows no task ${String((task as { type: unknown }).type)}. Update ListBackup.`);
  }
}

/** The ids alone. A step spreads them into new messages, which must not inherit other fields of this task. */
function runRefOf({ account, runId, jobId, sourceId }: Task): RunRef {
  return { account, runId, jobId, sourceId };
}

/** Task types by the event that starts them. */
const taskTypes: { [event: string]: 'plan' | 'finish' } = { 'run.requested.v1': 'plan', 'run.ended.v1': 'finish' };

/** A message is a task, or an event of the bus that starts one. */
async function taskOf({ platform }: Deployment, body: JsonObject): Promise<Task | undefined> {
  const type = taskTypes[String(body.type)];
  if (!type) return body as Task;
  const { stream, version, index } = body as { stream: string; version: number; index: number };
  const [commit] = await platform.events.getMany([{ stream, version }]);
  const event = commit && ((await decode<BackupChainEvent>(platform, commit))[index] as BackupChainEvent | undefined);
  if (!event) throw new Error(`Commit ${version} of ${stream}, which the bus named, does not exist.`);
  const { runId, jobId, sourceId } = event.data;
  return { type, account: parseStream(stream).account, runId, jobId, sourceId };
}

/** Seconds that the source asked to wait before the next request, at most 15 minutes. Undefined when it did not ask. */
export function askedPause(error: unknown): number | undefined {
  const seconds = error instanceof SourceProblem ? error.retryAfterSeconds : undefined;
  return seconds === undefined ? undefined : Math.min(Math.ceil(seconds), 900);
}

function sourceCode({ code }: SourceProblem): string {
  return `source-${code}`;
}

/** Errors that may pass with time. */
const temporary: ReadonlySet<ErrorCode> = new Set(['conflict', 'unavailable', 'storage-full']);

/** The reason to fail the run with. Undefined when the message should be tried again. */
function reasonOf(error: unknown, receives: number): { code: string; message: string } | undefined {
  const isLast = receives >= maxReceives;
  if (error instanceof SourceProblem) {
    // A path that does not exist is most often a typing error, and the user should see it now.
    const retry = error.retryable && error.code !== 'not-found' && !isLast;
    return retry ? undefined : { code: sourceCode(error), message: error.message };
  }
  // The process stops, or another source blocked the thread of the step. The step is repeated.
  if (error instanceof Problem && error.code === 'unavailable') return undefined;
  if (error instanceof Problem && (!temporary.has(error.code) || (isLast && error.code === 'storage-full')))
    return { code: error.code, message: error.message };
  return isLast
    ? { code: 'internal', message: 'An internal error occurred several times. Run the job again.' }
    : undefined;
}
