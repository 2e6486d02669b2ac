/** Looks after what nobody else would: runs that stand still, exports whose time has come. Harmless at any time, for every step repeats. */
import type { Machine } from '../domain/ports.ts';
import { removeExpiredExports } from '../vault/exports.ts';
import { failRun, finishReleased } from './fail-run.ts';
import { type About, type Home, loadRun, runRecord, send, type Task } from './run.ts';
import { readStep } from './step.ts';
import { sealIfComplete } from './tally.ts';
import { openRuns, signsOfLife, unwatchRun, type Watched } from './watch.ts';

/** A run is looked at when nothing has moved for so long, and given up after so many looks in a row. */
const quietMs = 60 * 60_000;
const patience = 24;

/** What fails at one thing fails there alone; the first of these errors is thrown once everything else was looked after. */
export async function sweep(home: Home): Promise<void> {
  const errors: unknown[] = [];
  const failed = (error: unknown) => void errors.push(error);
  await sweepRuns(home, failed).catch(failed);
  await removeExpiredExports(home.machine).catch(failed);
  if (errors.length > 0) throw errors[0];
}

/** Sends again what a lost message should have done. */
async function sweepRuns(home: Home, failed: (error: unknown) => void): Promise<void> {
  const { machine } = home;
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await machine.records.query(openRuns, { limit: 100, ...(cursor ? { cursor } : {}) });
    for (const { data } of items) {
      const run = data as Watched;
      if (machine.now() - run.quietSince >= quietMs) await look(home, run).catch(failed);
    }
    if (!next) return;
    cursor = next;
  }
}

async function look(home: Home, watched: Watched): Promise<void> {
  const { machine } = home;
  const { quietSince: _, looks: before, seen, ...about } = watched;
  const { run, line } = await loadRun(machine, about);
  if (run.status === 'finished') return unwatchRun(machine, about);
  if (line.open?.runId !== about.runId) await finishReleased(home, about);
  const now = await standing(machine, about);
  const looks = now === seen ? before + 1 : 1;
  if (looks > patience) {
    await failRun(home, about, { code: 'stalled', message: 'The run stood still for a day. Run the job again.' });
    return;
  }
  const next: Watched = { ...about, quietSince: machine.now(), looks, seen: now };
  await machine.records.write([{ op: 'put', pk: openRuns, sk: about.runId, data: next, if: 'present' }]);
  if (now !== seen && seen !== '') return;
  machine.log.warn('reviving a run that stands still', { runId: about.runId, looks });
  machine.log.measure({ RunsStandingStill: 1 });
  if (run.status === 'none' || !run.planned) await send(machine, [{ type: 'plan', ...about }]);
  await sendMissing(machine, about);
  await sealIfComplete(machine, about);
}

/** Anything that moves when the run does. */
async function standing(machine: Machine, about: About): Promise<string> {
  const [step, tally, signs] = await Promise.all([
    readStep(machine, about),
    machine.records.get(runRecord(about, 'tally')),
    signsOfLife(machine, about),
  ]);
  return `${step.step}/${tally?.data.stored ?? 0}/${signs}`;
}

async function sendMissing(machine: Machine, about: About): Promise<void> {
  for (let cursor: string | undefined; ; ) {
    const page = await machine.records.query(runRecord(about, '').pk, { prefix: 'batch-', limit: 100, ...(cursor ? { cursor } : {}) });
    const batches = page.items.map(({ data }) => data as { batch: number; work: string });
    const stored = await machine.records.getMany(batches.map(({ batch }) => runRecord(about, `stored-${batch}`)));
    const done = new Set(stored.map(({ sk }) => sk));
    const missing = batches.filter(({ batch }) => !done.has(`stored-${batch}`));
    await send(
      machine,
      missing.map(({ batch, work }): Task => ({ type: 'store', ...about, batch, work })),
    );
    if (!page.next) return;
    cursor = page.next;
  }
}
