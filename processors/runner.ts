/** What happens to each message of a queue, in either home. A message is done when its handler resolves; else it comes again. */
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

/** The last time a message comes before it would be a dead letter: then the run fails with the reason instead of hanging. */
const lastReceive = 5;

/** `deadline` (ms since the epoch): when to stop and leave the rest to another message. It may come nearer while the work goes on. */
export type Delivery = { receives: number; readonly deadline: number };

export async function handleMessage(deployment: Deployment, body: JsonObject, delivery: Delivery): Promise<void> {
  if (body.type === downloadRequested)
    return prepareDownload(deployment, body, delivery, delivery.receives >= lastReceive);
  const task = await asTask(deployment, body);
  if (!task) return;
  try {
    await perform(deployment, task, delivery);
  } catch (error) {
    const reason = reasonOf(error, delivery.receives);
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
      // A newer version may have sent it: not ours to drop.
      throw new Error(`no task is called ${String((task as { type: unknown }).type)}`);
  }
}

/** Nothing but the ids: what a step sends on must not inherit the task it came from. */
function runRefOf({ account, runId, jobId, sourceId }: Task): RunRef {
  return { account, runId, jobId, sourceId };
}

/** Which task an event on the bus stands for. */
const tasksOf: { [event: string]: 'plan' | 'finish' } = { 'run.requested.v1': 'plan', 'run.ended.v1': 'finish' };

/** A task as we sent it, or the one that a bus event stands for. */
async function asTask({ platform }: Deployment, body: JsonObject): Promise<Task | undefined> {
  const type = tasksOf[String(body.type)];
  if (!type) return body as Task;
  const { stream, version, index } = body as { stream: string; version: number; index: number };
  const [commit] = await platform.events.getMany([{ stream, version }]);
  const event = commit && ((await decode<BackupChainEvent>(platform, commit))[index] as BackupChainEvent | undefined);
  if (!event) throw new Error(`the commit that the bus named is not there: ${stream} ${version}`);
  const { runId, jobId, sourceId } = event.data;
  return { type, account: parseStream(stream).account, runId, jobId, sourceId };
}

/** Seconds that the source asked to be left alone, at most a quarter of an hour; undefined when it did not. */
export function askedPause(error: unknown): number | undefined {
  const seconds = error instanceof SourceProblem ? error.retryAfterSeconds : undefined;
  return seconds === undefined ? undefined : Math.min(Math.ceil(seconds), 900);
}

/** What may be otherwise a while later. */
const passing: ReadonlySet<ErrorCode> = new Set(['conflict', 'unavailable', 'storage-full']);

/** Why the run ends here; undefined when the message shall come again. */
function reasonOf(error: unknown, receives: number): { code: string; message: string } | undefined {
  const last = receives >= lastReceive;
  if (error instanceof SourceProblem) {
    // Who mistyped a path wants to know now; what is not there is seldom there a minute later.
    const again = error.retryable && error.code !== 'not-found' && !last;
    return again ? undefined : { code: `source-${error.code}`, message: error.message };
  }
  if (error instanceof Problem && (!passing.has(error.code) || (last && error.code === 'storage-full')))
    return { code: error.code, message: error.message };
  return last
    ? { code: 'internal', message: 'Something went wrong on our side, several times. Run the job again.' }
    : undefined;
}
