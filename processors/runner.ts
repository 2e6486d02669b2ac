/**
 * Handles the messages of the queues: tasks, and events of the bus that start or stop tasks. A message is done when its
 * handler resolves. Otherwise the queue sends it again.
 */
import { decode } from '../activity/decode.ts';
import type { BackupChainEvent } from '../domain/backup-chain.ts';
import { parseStream } from '../domain/event.ts';
import type { JsonObject, Platform } from '../domain/ports.ts';
import { noProgress, progressKey } from '../domain/run.ts';
import { runTask, type Slice, startAndRun } from '../tasks/run-task.ts';
import type { TaskMessage } from '../tasks/task.ts';
import { cancelGroup, type NewGroup, newGroup, pauseGroup, resumeGroup, startGroup } from '../tasks/window.ts';
import { expiry, idsOf, loadOpen, type RunRef } from './backup/run.ts';
import type { Deployment } from './deployment.ts';
import { tasksOf } from './tasks.ts';

export async function handleMessage(deployment: Deployment, body: JsonObject, slice: Slice): Promise<void> {
  const parts = tasksOf(deployment);
  if (body.type === 'task') return runTask(parts, deployment, body as TaskMessage, slice);
  const group = await changeTasks(deployment, body);
  if (group) await startAndRun(parts, deployment, group, slice);
}

/** An event as the bus published it. */
type Announced = { type: string; stream: string; version: number; index: number };

/** Changes what the tasks of a run may do. Returns the tasks of a run or an export to start. */
async function changeTasks(deployment: Deployment, body: JsonObject): Promise<NewGroup | undefined> {
  const { platform } = deployment;
  const parts = tasksOf(deployment);
  const announced = body as Announced;
  const { account, id } = parseStream(announced.stream);
  if (announced.type === 'download.requested.v1') return newGroup(parts, { account, group: id }, 'export', {});
  const runRef = { account, ...(await runIdsOf(platform, announced)) };
  const group = { account, group: runRef.runId };
  switch (announced.type) {
    case 'run.requested.v1':
      return newRun(deployment, runRef);
    case 'run.ended.v1':
      return void (await cancelGroup(parts, group));
    case 'run.paused.v1':
    case 'run.resumed.v1':
      return void (await followPause(deployment, runRef));
    default:
      // A newer version may have sent it, so it must not be dropped.
      throw new Error(`This version knows no message ${announced.type}. Update ListBackup.`);
  }
}

/**
 * Pauses or resumes the tasks of the run as its backup chain says. Events may arrive in any order, also before the
 * request of the run. The chain may change meanwhile, so it is read again after each change.
 */
async function followPause(deployment: Deployment, runRef: RunRef): Promise<void> {
  const parts = tasksOf(deployment);
  const group = { account: runRef.account, group: runRef.runId };
  for (let applied: boolean | undefined; ; ) {
    const chain = await loadOpen(deployment.platform, runRef);
    if (!chain) return applied === undefined ? undefined : cancelGroup(parts, group);
    const isPaused = chain.openRun?.isPaused ?? false;
    if (isPaused === applied) return;
    await startGroup(parts, newRun(deployment, runRef));
    await (isPaused ? pauseGroup(parts, group) : resumeGroup(parts, group));
    applied = isPaused;
  }
}

async function runIdsOf(platform: Platform, { stream, version, index }: Announced): Promise<Omit<RunRef, 'account'>> {
  const [commit] = await platform.events.getMany([{ stream, version }]);
  const event = commit && ((await decode<BackupChainEvent>(platform, commit))[index] as BackupChainEvent | undefined);
  if (!event) throw new Error(`Commit ${version} of ${stream}, which the bus named, does not exist.`);
  const { runId, jobId, sourceId } = event.data;
  return { runId, jobId, sourceId };
}

function newRun(deployment: Deployment, runRef: RunRef): NewGroup {
  const { platform } = deployment;
  const { account, runId } = runRef;
  const { jobId, sourceId } = idsOf(runRef);
  const data = noProgress(new Date(platform.now()).toISOString());
  const progress = {
    op: 'put',
    ...progressKey(account, runId),
    data,
    expiresAt: expiry(platform),
    if: 'absent',
  } as const;
  const group = { account, group: runId };
  return newGroup(tasksOf(deployment), group, 'backup', { jobId, sourceId }, { writes: [progress] });
}
