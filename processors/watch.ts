/** The runs that are under way, for whoever looks after those that stand still. */
import type { Machine } from '../domain/ports.ts';
import type { About } from './run.ts';

export const openRuns = 'open-runs';

export type Watched = About & { quietSince: number; looks: number; seen: string };

export async function watchRun(machine: Machine, about: About): Promise<void> {
  const data: Watched = { ...about, quietSince: machine.now(), looks: 0, seen: '' };
  await machine.records.write([{ op: 'put', pk: openRuns, sk: about.runId, data, if: 'absent' }]);
}

export async function unwatchRun(machine: Machine, about: About): Promise<void> {
  await machine.records.write([{ op: 'delete', pk: openRuns, sk: about.runId }]);
}
