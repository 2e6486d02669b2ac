/**
 * A run that cannot go on ends `failed` with its reason, and frees its line; the last good backup stays what it was. The line decides:
 * a run that was sealed meanwhile has not failed, and one whose line was released has, also when a crash came before it could say so.
 */
import { transact } from '../activity/store.ts';
import { systemContext } from '../commands/context.ts';
import { line, releaseLine } from '../domain/line.ts';
import { type Counts, finishRun, run } from '../domain/run.ts';
import { endOnLine } from './line-end.ts';
import { measureRun } from './measure-run.ts';
import { type About, type Home, idsOf, lineStream, loadRun, runRecord, runStream, vaultKeys } from './run.ts';
import { readStep } from './step.ts';
import { readTally } from './tally.ts';
import { unwatchRun } from './watch.ts';
import { getSealed, putSealed } from './work.ts';

export type Reason = { code: string; message: string };

export async function failRun(home: Home, about: About, reason: Reason): Promise<void> {
  const { machine } = home;
  const state = await loadRun(machine, about);
  if (state.run.status !== 'finished' && state.line.open?.runId === about.runId) {
    await putSealed(machine, await vaultKeys(machine, about.account), about, 'failure', reason);
    await home.reached?.('fail:noted');
    await transact(machine, line, lineStream(about), releaseLine(idsOf(about), 'failed'), cause(about));
    await home.reached?.('fail:released');
  }
  await finishReleased(home, about, state.line.open?.requestedAt);
}

/** What is left to do for a run whose line was released, because it failed or was cancelled; nothing when it was sealed instead. Harmless to repeat. */
export async function finishReleased(home: Home, about: About, requestedAt?: string): Promise<void> {
  const { machine } = home;
  const end = await endOnLine(machine, about);
  if (end?.type !== 'LineReleased') return;
  const [{ requests, usd, ...stored }, { filesTotal, filesUnchanged }] = await Promise.all([
    readTally(machine, about),
    readStep(machine, about),
  ]);
  const counts: Counts = { filesTotal, filesUnchanged, ...stored };
  const { outcome } = end.data;
  const reason = outcome === 'failed' ? await readReason(home, about) : null;
  const cost = { requests, usd };
  const data = { ...idsOf(about), outcome, counts, cost, manifest: null, totals: null, reason, errors: [], errorPages: 0 };
  const { appended } = await transact(machine, run, runStream(about), finishRun(data), cause(about));
  if (appended) measureRun(machine, data, requestedAt);
  await home.reached?.('fail:finished');
  await unwatchRun(machine, about);
}

const cause = (about: About) => systemContext(about.account, 'fail-run', about.runId, about.runId);

async function readReason({ machine }: Home, about: About): Promise<Reason> {
  if (await machine.records.get(runRecord(about, 'failure'))) {
    return getSealed<Reason>(machine, await vaultKeys(machine, about.account), about, 'failure');
  }
  return { code: 'internal', message: 'Something went wrong on our side. Run the job again.' };
}
