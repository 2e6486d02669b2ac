/** The runs that are under way, for whoever looks after those that stand still. */
import { load } from '../activity/store.ts';
import { line } from '../domain/line.ts';
import type { Machine } from '../domain/ports.ts';
import { type About, expiry, lineStream, runRecord } from './run.ts';

export const openRuns = 'open-runs';

export type Watched = About & { quietSince: number; looks: number; seen: string };

export async function watchRun(machine: Machine, about: About): Promise<void> {
  const data: Watched = { ...about, quietSince: machine.now(), looks: 0, seen: '' };
  await machine.records.write([{ op: 'put', pk: openRuns, sk: about.runId, data, if: 'absent' }]);
}

export async function unwatchRun(machine: Machine, about: About): Promise<void> {
  await machine.records.write([{ op: 'delete', pk: openRuns, sk: about.runId }]);
}

/** Often enough that whoever looks every hour has always heard of it. */
const aliveMs = 10 * 60_000;

/** The run was called off, or has ended otherwise: nothing of what is read is needed any more. */
export class CalledOff extends Error {}

/** Whether the run is still the one that may seal next. */
export async function isOpen(machine: Machine, about: About): Promise<boolean> {
  return (await load(machine, line, lineStream(about))).state.open?.runId === about.runId;
}

/**
 * Passes content on, and notes now and then that it comes: nothing else of a run moves while one large file is read for hours.
 * Fails as CalledOff soon after the run was.
 */
export function noteAlive(machine: Machine, about: About): (content: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array> {
  let noted = machine.now();
  return async function* (content) {
    for await (const piece of content) {
      if (Math.abs(machine.now() - noted) >= aliveMs) {
        noted = machine.now();
        await machine.records.add(aliveRecord(about), { signs: 1 }, expiry(machine));
        if (!(await isOpen(machine, about))) throw new CalledOff(`run ${about.runId} is over`);
      }
      yield piece;
    }
  };
}

/** How often it was noted. */
export async function signsOfLife(machine: Machine, about: About): Promise<number> {
  return Number((await machine.records.get(aliveRecord(about)))?.data.signs ?? 0);
}

const aliveRecord = (about: About) => runRecord(about, 'alive');
