/** A run is called off: its line is free at once, and whatever still works for it finds that out at its next step. */
import { load, transact } from '../activity/store.ts';
import { Problem } from '../domain/errors.ts';
import { streamName } from '../domain/event.ts';
import { line, lineId, releaseLine } from '../domain/line.ts';
import type { Machine } from '../domain/ports.ts';
import { run } from '../domain/run.ts';
import type { CommandContext, Written } from './context.ts';

/** Done again it changes nothing. Throws Problem `run-over` when the run ended in another way. */
export async function cancelRun(
  machine: Machine,
  context: CommandContext,
  about: { runId: string; jobId: string; sourceId: string },
): Promise<{ written: Written }> {
  const name = streamName(context.account, 'line', lineId(about.jobId, about.sourceId));
  const released = await transact(machine, line, name, releaseLine(about, 'cancelled'), context);
  if (!released.appended) {
    const { state } = await load(machine, run, streamName(context.account, 'run', about.runId));
    const over = state.status === 'finished' && state.outcome !== 'cancelled';
    if (over || released.state.sealed?.runId === about.runId)
      throw new Problem('run-over', 'The run had ended before it could be cancelled.');
  }
  return { written: { stream: released.stream, version: released.version } };
}
