/** How the line ended a run: the line is what decides whether a run came to a backup, whatever else is (not yet) recorded of it. */
import { decode } from '../activity/decode.ts';
import type { LineEvent } from '../domain/line.ts';
import type { Machine, StoredCommit } from '../domain/ports.ts';
import { type About, lineStream } from './run.ts';

export type LineEnd = Extract<LineEvent, { type: 'LineSealed' | 'LineReleased' }>;

/** Undefined while the run is open. One read for the newest run of the line, the whole line for an older one. */
export async function endOnLine(machine: Machine, about: About): Promise<LineEnd | undefined> {
  const last = await machine.events.last(lineStream(about));
  const found = last && (await endIn(machine, about, last));
  if (found) return found;
  for (const commit of (await machine.events.load(lineStream(about))).reverse()) {
    const earlier = await endIn(machine, about, commit);
    if (earlier) return earlier;
  }
  return undefined;
}

async function endIn(machine: Machine, about: About, commit: StoredCommit): Promise<LineEnd | undefined> {
  const events = (await decode<LineEvent>(machine, commit)) as LineEvent[];
  return events.find((event): event is LineEnd => event.type !== 'RunRequested' && event.data.runId === about.runId);
}
