/**
 * Reaction to `run.requested`: lists the source page by page, compares with the last manifest and hands out batches of work.
 * Where it stands is in one record, moved only by whoever stands at its present step: a crash resumes there, a twin falls behind.
 */
import { transact } from '../activity/store.ts';
import { systemContext } from '../commands/context.ts';
import { SourceProblem } from '../connectors/connector.ts';
import type { LineState } from '../domain/line.ts';
import type { JsonObject, Machine } from '../domain/ports.ts';
import { planRun as planned, run, startRun } from '../domain/run.ts';
import type { VaultKeys } from '../vault/keys.ts';
import { entries, openManifest } from '../vault/reader.ts';
import { makeComparer } from './compare.ts';
import { finishReleased } from './fail-run.ts';
import { mustBeMeantEmpty, mustBeOf, type Origin, openSource } from './open-source.ts';
import { type About, expiry, type Home, idsOf, loadRun, runRecord, runStream, send, type Task, usualLimits, vaultKeys } from './run.ts';
import { readStep, type Step } from './step.ts';
import { closeTally } from './tally.ts';
import { isOpen, unwatchRun, watchRun } from './watch.ts';
import { emptyWork, getSealed, type Listed, makeCutter, putSealed, things, type Work } from './work.ts';

/** `origin` is missing before the first step. */
type Place = {
  page: string | null;
  since: string | null;
  lastKey: string | null;
  blind: string | null;
  rest: Work;
  origin?: Origin;
};

/** When to stop (ms since the epoch) and leave the rest to another message; may come nearer while it works. */
type Until = { readonly deadline: number };

export async function planRun(home: Home, about: About, until: Until): Promise<void> {
  const { machine } = home;
  const state = await loadRun(machine, about);
  if (state.run.status === 'finished') return unwatchRun(machine, about);
  if (state.line.open?.runId !== about.runId) return finishReleased(home, about);
  const cause = systemContext(about.account, 'plan-run', about.runId, about.runId);
  await watchRun(machine, about);
  await transact(machine, run, runStream(about), startRun(idsOf(about)), cause);
  await home.reached?.('plan:started');

  const keys = await vaultKeys(machine, about.account);
  let step = await readStep(machine, about);
  await sendPending(machine, about, step);
  if (!step.done) {
    const outcome = await walk(home, keys, about, step, state.line.sealed, until);
    if (outcome === 'ended') return;
    if (outcome === 'overtaken') return leaveWord(machine, about);
    if (!outcome.done) return send(machine, [{ type: 'plan', ...about }]);
    step = outcome;
  }
  const place = await readPlace(machine, keys, about, step);
  const { batches, filesTotal, filesUnchanged, bytesTotal } = step;
  const at = place.origin?.place;
  const plan = {
    ...idsOf(about),
    batches,
    filesTotal,
    filesUnchanged,
    bytesTotal,
    since: place.since,
    ...(typeof at === 'string' && { place: at }),
  };
  await transact(machine, run, runStream(about), planned(plan), cause);
  await home.reached?.('plan:planned');
  await closeTally(machine, about, batches);
  await home.reached?.('plan:closed');
}

async function walk(
  home: Home,
  keys: VaultKeys,
  about: About,
  from: Step,
  sealed: LineState['sealed'],
  until: Until,
): Promise<Step | 'overtaken' | 'ended'> {
  const { machine, limits = usualLimits } = home;
  const place = await readPlace(machine, keys, about, from);
  const { session, settings } = await openSource(home, about, place.origin);
  try {
    if (place.origin) await mustBeOf(session, place.origin);
    const origin = place.origin ?? { settings, place: (await session.place?.()) ?? null };
    const ctx = { account: about.account, keys, blobs: machine.blobs };
    const root = sealed ? await openManifest(ctx, sealed.manifest) : null;
    const before = root ? entries(ctx, root, place.lastKey === null ? {} : { after: place.lastKey }) : nothing();
    const cutter = makeCutter(limits, place.rest);
    const comparer = makeComparer(before[Symbol.asyncIterator](), cutter.add, { blind: place.blind });
    let { page, lastKey } = place;
    let since: string | null = null;
    let step = from;
    for (let pages = 1; ; pages++) {
      const listed = await session.changes({ since: sealed?.since ?? null, page }, { limit: limits.page });
      // What a list of changes does not mention is not gone: that needs another comparison than this one.
      if (listed.mode !== 'full') throw new SourceProblem('unusable', 'This version cannot back up a source that only tells its changes.');
      if (page === null && listed.page === null && listed.items.length === 0) mustBeMeantEmpty(sealed, origin);
      await comparer.page(listed.items, listed.page === null);
      const final = listed.items.at(-1);
      if (final) lastKey = final.type === 'entry' ? final.entry.key : final.refusal.key;
      ({ page, since } = listed);
      const done = page === null;
      const full = cutter.cut();
      if (done && things(cutter.rest) > 0) full.push(cutter.rest);
      const late = machine.now() > until.deadline;
      if (full.length === 0 && !done && !late && pages % limits.pagesPerStep !== 0) continue;
      await home.reached?.('plan:listed');
      if (!(await isOpen(machine, about))) return 'ended';

      const rest = done ? emptyWork() : cutter.rest;
      const moved = await moveStep(home, keys, about, step, full, { page, since, lastKey, blind: comparer.blind(), rest, origin }, done, {
        filesTotal: from.filesTotal + comparer.count.filesTotal,
        filesUnchanged: from.filesUnchanged + comparer.count.filesUnchanged,
        bytesTotal: from.bytesTotal + comparer.count.bytesTotal,
      });
      if (!moved) return 'overtaken';
      step = moved;
      await home.reached?.('plan:step');
      await sendPending(machine, about, step);
      await home.reached?.('plan:sent');
      if (done || late) return step;
    }
  } finally {
    await session.close();
  }
}

/** Long enough for the one ahead to come to an end, short enough to wait for if it never does. */
const wordSeconds = 60;

/** The message that a twin hands back may be the only one there is, and the one ahead of it may die: then another goes on from there. */
function leaveWord(machine: Machine, about: About): Promise<void> {
  const body: Task = { type: 'plan', ...about };
  return machine.queue.send('job', [{ body, delaySeconds: wordSeconds }]);
}

async function* nothing(): AsyncGenerator<never> {}

/** First the work where nobody looks yet, then the step that names it, then the messages: a crash in between repeats or forgets, never half. */
async function moveStep(
  home: Home,
  keys: VaultKeys,
  about: About,
  from: Step,
  full: Work[],
  place: Place & { origin: Origin },
  done: boolean,
  counts: { filesTotal: number; filesUnchanged: number; bytesTotal: number },
): Promise<Step | undefined> {
  const { machine } = home;
  const attempt = Buffer.from(machine.random(8)).toString('hex');
  const pending = full.map((_, index) => ({ batch: from.batches + index + 1, work: `work-${from.batches + index + 1}-${attempt}` }));
  const placeName = `place-${from.step + 1}-${attempt}`;
  await Promise.all([
    putSealed(machine, keys, about, placeName, place),
    ...full.map((work, index) => {
      const listed: Listed = { ...work, origin: place.origin };
      return putSealed(machine, keys, about, pending[index]?.work ?? '', listed);
    }),
  ]);
  await home.reached?.('plan:noted');
  const step: Step = { step: from.step + 1, batches: from.batches + full.length, ...counts, done, place: placeName, pending };
  const moved = await machine.records.write([
    {
      op: 'put',
      ...runRecord(about, 'plan'),
      data: step as JsonObject,
      expiresAt: expiry(machine),
      if: from.step === 0 ? 'absent' : { equals: { step: from.step } },
    },
  ]);
  return moved ? step : undefined;
}

async function readPlace(machine: Machine, keys: VaultKeys, about: About, step: Step): Promise<Place> {
  if (step.place === null) return { page: null, since: null, lastKey: null, blind: null, rest: emptyWork() };
  return getSealed(machine, keys, about, step.place);
}

/** Noted for the sweeper, then sent; again after a crash: whoever comes second to a batch finds it stored. */
async function sendPending(machine: Machine, about: About, step: Step): Promise<void> {
  await machine.records.putMany(
    step.pending.map((pending) => ({ ...runRecord(about, `batch-${pending.batch}`), data: pending, expiresAt: expiry(machine) })),
  );
  await send(
    machine,
    step.pending.map(({ batch, work }): Task => ({ type: 'store', ...about, batch, work })),
  );
}
