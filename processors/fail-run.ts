/** A run that cannot go on ends `failed` with its reason, and frees its line; the last good backup stays what it was. */
import { transact } from '../activity/store.ts';
import { systemContext } from '../commands/context.ts';
import { line, releaseLine } from '../domain/line.ts';
import { finishRun, run } from '../domain/run.ts';
import { type About, type Home, idsOf, lineStream, loadRun, runStream } from './run.ts';
import { unwatchRun } from './watch.ts';

export async function failRun(home: Home, about: About, reason: { code: string; message: string }): Promise<void> {
  const { machine } = home;
  const state = await loadRun(machine, about);
  if (state.line.sealed?.runId === about.runId) return;
  const planned = state.run.status === 'running' ? state.run.planned : null;
  const cause = systemContext(about.account, 'fail-run', about.runId, about.runId);
  const counts = {
    filesTotal: planned?.filesTotal ?? 0,
    filesDone: 0,
    filesUnchanged: planned?.filesUnchanged ?? 0,
    filesDeleted: 0,
    filesFailed: 0,
    filesSkipped: 0,
    bytesRead: 0,
    bytesStored: 0,
  };
  const data = {
    ...idsOf(about),
    outcome: 'failed',
    counts,
    cost: { requests: 0, usd: 0 },
    manifest: null,
    totals: null,
    reason,
    errors: [],
  } as const;
  await transact(machine, run, runStream(about), finishRun({ ...data, errors: [] }), cause);
  home.reached?.('fail:finished');
  await transact(machine, line, lineStream(about), releaseLine(idsOf(about), 'failed'), cause);
  await unwatchRun(machine, about);
}
