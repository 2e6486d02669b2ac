/**
 * Reaction to `run.requested`: lists the source page by page, compares it with the last manifest and sends batches of
 * work. One record holds the step that the plan has reached. Only a worker at that step may move it, so a crash resumes
 * there and a concurrent worker is overtaken.
 */
import { transact } from '../../activity/store.ts';
import { systemContext } from '../../commands/context.ts';
import { SourceProblem } from '../../connectors/connector.ts';
import type { BackupChainState } from '../../domain/backup-chain.ts';
import type { JsonObject, Platform } from '../../domain/ports.ts';
import { planRun as planned, run, startRun } from '../../domain/run.ts';
import type { VaultKeys } from '../../vault/keys.ts';
import { entries, openManifest } from '../../vault/reader.ts';
import { type Deployment, defaultLimits } from '../deployment.ts';
import { makeComparer } from './compare.ts';
import { finishEndedRun } from './fail-run.ts';
import { type Origin, openSource, rejectEmptyReplacement, requireSameSource } from './open-source.ts';
import { expiry, idsOf, loadRun, type RunRef, runRecord, runStream, send, type Task, vaultKeys } from './run.ts';
import { readStep, type Step } from './step.ts';
import { closeTally } from './tally.ts';
import { isOpen, unwatchRun, watchRun } from './watch.ts';
import { emptyWork, getEncrypted, type Listed, makeCutter, putEncrypted, things, type Work } from './work.ts';

/** Where the listing goes on. `origin` is missing before the first step. */
type PlanPosition = {
  page: string | null;
  since: string | null;
  lastKey: string | null;
  blind: string | null;
  rest: Work;
  origin?: Origin;
};

/** When to stop (ms since the epoch) and leave the rest to another message. It may become earlier during the work. */
type Until = { readonly deadline: number };

export async function planRun(deployment: Deployment, runRef: RunRef, until: Until): Promise<void> {
  const { platform } = deployment;
  const state = await loadRun(platform, runRef);
  if (state.run.status === 'finished') return unwatchRun(platform, runRef);
  if (state.backupChain.openRun?.runId !== runRef.runId) return finishEndedRun(deployment, runRef);
  const cause = systemContext(runRef.account, 'plan-run', runRef.runId, runRef.runId);
  await watchRun(platform, runRef);
  await transact(platform, run, runStream(runRef), startRun(idsOf(runRef)), cause);
  await deployment.reached?.('plan:started');

  const keys = await vaultKeys(platform, runRef.account);
  let step = await readStep(platform, runRef);
  await sendPending(platform, runRef, step);
  if (!step.done) {
    const outcome = await listSource(deployment, keys, runRef, step, state.backupChain.newestRestorePoint, until);
    if (outcome === 'ended') return;
    if (outcome === 'overtaken') return planLater(platform, runRef);
    if (!outcome.done) return send(platform, [{ type: 'plan', ...runRef }]);
    step = outcome;
  }
  const position = await readPosition(platform, keys, runRef, step);
  const { batches, filesTotal, filesUnchanged, bytesTotal } = step;
  const sourceIdentity = position.origin?.sourceIdentity;
  const plan = {
    ...idsOf(runRef),
    batches,
    filesTotal,
    filesUnchanged,
    bytesTotal,
    since: position.since,
    ...(typeof sourceIdentity === 'string' && { sourceIdentity }),
  };
  await transact(platform, run, runStream(runRef), planned(plan), cause);
  await deployment.reached?.('plan:planned');
  await closeTally(platform, runRef, batches);
  await deployment.reached?.('plan:closed');
}

/** Lists until the source is done or the deadline has passed. `ended`: the run is no longer open. */
async function listSource(
  deployment: Deployment,
  keys: VaultKeys,
  runRef: RunRef,
  from: Step,
  head: BackupChainState['newestRestorePoint'],
  until: Until,
): Promise<Step | 'overtaken' | 'ended'> {
  const { platform, limits = defaultLimits } = deployment;
  const position = await readPosition(platform, keys, runRef, from);
  const { session, settings } = await openSource(deployment, runRef, position.origin);
  try {
    if (position.origin) await requireSameSource(session, position.origin);
    const origin = position.origin ?? { settings, sourceIdentity: (await session.identity?.()) ?? null };
    const ctx = { account: runRef.account, keys, blobs: platform.blobs };
    const root = head ? await openManifest(ctx, head.manifest) : null;
    const before = root ? entries(ctx, root, position.lastKey === null ? {} : { after: position.lastKey }) : nothing();
    const cutter = makeCutter(limits, position.rest);
    const comparer = makeComparer(before[Symbol.asyncIterator](), cutter.add, { blind: position.blind });
    let { page, lastKey } = position;
    let since: string | null = null;
    let step = from;
    for (let pages = 1; ; pages++) {
      const listed = await session.changes({ since: head?.since ?? null, page }, { limit: limits.page });
      // A list of changes needs another comparison, because it leaves out files that still exist.
      if (listed.mode !== 'full')
        throw new SourceProblem(
          'unusable',
          'This version cannot back up a source that lists only changes. Update ListBackup.',
        );
      if (page === null && listed.page === null && listed.items.length === 0) rejectEmptyReplacement(head, origin);
      await comparer.page(listed.items, listed.page === null);
      const lastItem = listed.items.at(-1);
      if (lastItem) lastKey = lastItem.type === 'entry' ? lastItem.entry.key : lastItem.refusal.key;
      ({ page, since } = listed);
      const done = page === null;
      const full = cutter.cut();
      if (done && things(cutter.rest) > 0) full.push(cutter.rest);
      const late = platform.now() > until.deadline;
      if (full.length === 0 && !done && !late && pages % limits.pagesPerStep !== 0) continue;
      await deployment.reached?.('plan:listed');
      if (!(await isOpen(platform, runRef))) return 'ended';

      const rest = done ? emptyWork() : cutter.rest;
      const moved = await moveStep(
        deployment,
        keys,
        runRef,
        step,
        full,
        { page, since, lastKey, blind: comparer.blind(), rest, origin },
        done,
        {
          filesTotal: from.filesTotal + comparer.count.filesTotal,
          filesUnchanged: from.filesUnchanged + comparer.count.filesUnchanged,
          bytesTotal: from.bytesTotal + comparer.count.bytesTotal,
        },
      );
      if (!moved) return 'overtaken';
      step = moved;
      await deployment.reached?.('plan:advanced');
      await sendPending(platform, runRef, step);
      await deployment.reached?.('plan:sent');
      if (done || late) return step;
    }
  } finally {
    await session.close();
  }
}

/** Most concurrent workers finish within this time. If one has died, the run waits no longer than this. */
const retrySeconds = 60;

/**
 * Sends the plan task once more, with a delay. The concurrent worker may die, and no other message may be left.
 */
function planLater(platform: Platform, runRef: RunRef): Promise<void> {
  const body: Task = { type: 'plan', ...runRef };
  return platform.queue.send('job', [{ body, delaySeconds: retrySeconds }]);
}

async function* nothing(): AsyncGenerator<never> {}

/**
 * Saves the work lists under names of this attempt, then the step that names them. A crash in between leaves unused
 * records. Returns undefined when a concurrent worker has moved the step.
 */
async function moveStep(
  deployment: Deployment,
  keys: VaultKeys,
  runRef: RunRef,
  from: Step,
  full: Work[],
  position: PlanPosition & { origin: Origin },
  done: boolean,
  counts: { filesTotal: number; filesUnchanged: number; bytesTotal: number },
): Promise<Step | undefined> {
  const { platform } = deployment;
  const attempt = Buffer.from(platform.random(8)).toString('hex');
  const pending = full.map((_, index) => ({
    batch: from.batches + index + 1,
    work: `work-${from.batches + index + 1}-${attempt}`,
  }));
  const positionName = `position-${from.step + 1}-${attempt}`;
  await Promise.all([
    putEncrypted(platform, keys, runRef, positionName, position),
    ...full.map((work, index) => {
      const listed: Listed = { ...work, origin: position.origin };
      return putEncrypted(platform, keys, runRef, pending[index]?.work ?? '', listed);
    }),
  ]);
  await deployment.reached?.('plan:saved');
  const step: Step = {
    step: from.step + 1,
    batches: from.batches + full.length,
    ...counts,
    done,
    cursor: positionName,
    pending,
  };
  const moved = await platform.records.write([
    {
      op: 'put',
      ...runRecord(runRef, 'plan'),
      data: step as JsonObject,
      expiresAt: expiry(platform),
      if: from.step === 0 ? 'absent' : { equals: { step: from.step } },
    },
  ]);
  return moved ? step : undefined;
}

async function readPosition(platform: Platform, keys: VaultKeys, runRef: RunRef, step: Step): Promise<PlanPosition> {
  if (step.cursor === null) return { page: null, since: null, lastKey: null, blind: null, rest: emptyWork() };
  return getEncrypted(platform, keys, runRef, step.cursor);
}

/** Records the batches for the sweeper, then sends them. Sending one twice is harmless: the first part counts. */
async function sendPending(platform: Platform, runRef: RunRef, step: Step): Promise<void> {
  await platform.records.putMany(
    step.pending.map((pending) => ({
      ...runRecord(runRef, `batch-${pending.batch}`),
      data: pending,
      expiresAt: expiry(platform),
    })),
  );
  await send(
    platform,
    step.pending.map(({ batch, work }): Task => ({ type: 'store', ...runRef, batch, work })),
  );
}
