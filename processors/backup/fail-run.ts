/** The end of a run that cannot go on, and the choice between another attempt and that end. */
import { transact } from '../../activity/store.ts';
import { readProgress } from '../../commands/cancel-run.ts';
import { systemContext } from '../../commands/context.ts';
import { SourceProblem } from '../../connectors/connector.ts';
import { backupChain, endRun } from '../../domain/backup-chain.ts';
import { type ErrorCode, Problem } from '../../domain/errors.ts';
import type { Cause, Retry, Task } from '../../tasks/task.ts';
import type { Deployment } from '../deployment.ts';
import { measureEnd } from './measure-end.ts';
import { backupChainStream, idsOf, loadOpen, type RunState, runRefOf } from './run.ts';
import { removeWork } from './work.ts';

/** Ends the run as `failed`, unless it has ended. The last good backup stays. */
export async function failRun(
  deployment: Deployment,
  { ref, state }: Pick<Task<RunState>, 'ref' | 'state'>,
  cause: Cause,
): Promise<void> {
  const { platform } = deployment;
  const runRef = runRefOf(ref, state);
  const progress = await readProgress(platform, runRef.account, runRef.runId);
  const end = endRun(idsOf(runRef), { outcome: 'failed', reason: cause, ...progress });
  const context = systemContext(runRef.account, 'fail-run', runRef.runId, runRef.runId);
  const { appended } = await transact(platform, backupChain, backupChainStream(runRef), end, context);
  await deployment.reached?.('fail:ended');
  if (appended) measureEnd(platform, 'failed', progress);
}

/** Removes the working blobs of a run that ended while a slow worker wrote more of them. */
export async function leaveRun(
  { platform }: Deployment,
  { ref, state }: Pick<Task<RunState>, 'ref' | 'state'>,
): Promise<void> {
  const runRef = runRefOf(ref, state);
  if (!(await loadOpen(platform, runRef))) await removeWork(platform, runRef);
}

/** Seconds that the source asked to wait before the next request, at most 15 minutes. Undefined when it did not ask. */
function askedPause(error: unknown): number | undefined {
  const seconds = error instanceof SourceProblem ? error.retryAfterSeconds : undefined;
  return seconds === undefined ? undefined : Math.min(Math.ceil(seconds), 900);
}

/** Errors that may pass with time. */
const temporary: ReadonlySet<ErrorCode> = new Set(['conflict', 'unavailable', 'storage-full']);

/** What follows an error of a step of a run. */
export function retryOf(error: unknown, attempt: number, isLast: boolean): Retry {
  // 2, 4, 8 … seconds, at most a minute, unless the source asked for more.
  const again = { afterMs: 1000 * (askedPause(error) ?? Math.min(2 ** attempt, 60)) };
  if (error instanceof SourceProblem) {
    // A path that does not exist is most often a typing error, and the user should see it now.
    const isTemporary = error.retryable && error.code !== 'not-found' && !isLast;
    return isTemporary ? again : { cause: { code: `source-${error.code}`, message: error.message } };
  }
  // The process stops, or another source blocked the thread of the step.
  if (error instanceof Problem && error.code === 'unavailable') return { afterMs: 0, isCounted: false };
  if (error instanceof Problem && (!temporary.has(error.code) || (isLast && error.code === 'storage-full')))
    return { cause: { code: error.code, message: error.message } };
  return isLast ? { cause: internal } : again;
}

const internal: Cause = {
  code: 'internal',
  message: 'An internal error occurred several times. Run the job again.',
};
