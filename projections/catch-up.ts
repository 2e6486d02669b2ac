/**
 * The cursor rule: at (projection, stream), a version at or below the cursor is skipped, the next one applied, a later one makes the gap
 * be loaded. Order, duplicates, retries and a rebuild beside live traffic are this one mechanism.
 */
import { decode } from '../activity/decode.ts';
import type { Recorded } from '../domain/event.ts';
import type { Machine, RecordKey, StoredCommit, Wakeup } from '../domain/ports.ts';
import { changesBy, type Fault, faultOf, MissingCommit } from './changes.ts';
import { alive, cursorName, readGenerations, rowsAt } from './generations.ts';
import type { Projection } from './projection.ts';

/** A generation of a projection. `others`: brings those that it comes after up to where these streams are, for what has to wait for that. */
export type Target = { projection: Projection; generation: number; others?: (streams: string[]) => Promise<void> };

/** That it stands still at a stream, before which version, since when (UTC ISO-8601), and when it was last tried (milliseconds). */
export type Mark = { projection: string; generation: number; stream: string; version: number; fault: Fault; since: string; tried: number };

/** Where a commit stops one: that (projection, stream) stands still, and all others go on. */
export const marks = 'parked';

export function markKey({ projection, generation }: Target, stream: string): RecordKey {
  return { pk: marks, sk: `${cursorName(projection.name, generation)} ${stream}` };
}

/** Commits held in memory at once. */
const atOnce = 100;

/**
 * Brings the target up to that version of the stream, also where it stood still before. `parked`: it stands still there, by a fault of a commit.
 * Throws when the machine fails, and then has parked nothing for it.
 */
export async function catchUp(machine: Machine, target: Target, stream: string, version: number): Promise<'there' | 'parked'> {
  const cursor = await rowsAt(machine.rows, target.generation).cursor(target.projection.name, stream);
  const mark = (await machine.records.get(markKey(target, stream)))?.data as Mark | undefined;
  return advance(machine, target, { stream, version }, cursor, mark);
}

/** The same of many streams, each named once and left where it stands still: where the target is at them, and whether so, is asked of all at once. */
export async function catchUpAll(machine: Machine, target: Target, wakeups: Wakeup[]): Promise<void> {
  const { name } = target.projection;
  const cursors = await rowsAt(machine.rows, target.generation).cursors(
    name,
    wakeups.map(({ stream }) => stream),
  );
  const cursorOf = (stream: string) => cursors.get(stream) ?? 0;
  const behind = wakeups.filter(({ stream, version }) => cursorOf(stream) < version);
  if (behind.length === 0) return;
  const found = await machine.records.getMany(behind.map(({ stream }) => markKey(target, stream)));
  const parked = new Map(found.map(({ data }) => [(data as Mark).stream, data as Mark]));
  const going = behind.filter(({ stream }) => (parked.get(stream)?.version ?? 0) <= cursorOf(stream));
  await Promise.all(going.map((wakeup) => advance(machine, target, wakeup, cursorOf(wakeup.stream), parked.get(wakeup.stream))));
}

/** From the cursor on, past the mark. */
async function advance(
  machine: Machine,
  target: Target,
  { stream, version }: Wakeup,
  from: number,
  mark: Mark | undefined,
): Promise<'there' | 'parked'> {
  const rows = rowsAt(machine.rows, target.generation);
  const { name } = target.projection;
  let cursor = from;
  while (cursor < version) {
    const loaded = await machine.events.load(stream, { from: cursor + 1, limit: atOnce, known: version });
    // What came meanwhile is told of by itself: where the others may not have it yet, what comes last may not either.
    const commits = target.projection.last ? loaded.slice(0, version - cursor) : loaded;
    if (commits.length === 0) break;
    for (const commit of commits) {
      cursor++;
      try {
        if (commit.version !== cursor) throw new MissingCommit();
        const events = await decode(machine, commit);
        await bringOthers(target, events);
        const outcome = await rows.apply(name, stream, cursor, changesBy(target.projection, events));
        // Someone else may be quicker (stale). Nobody goes back, but a generation that was given up is cleared away.
        if (outcome === 'gap' && (await isAlive(machine, target))) throw new Error(`the cursor of ${name} went back at ${stream}`);
        if (outcome === 'gap') return 'there';
      } catch (error) {
        const fault = faultOf(error);
        if (!fault) throw error;
        await park(machine, target, { stream, version: cursor }, fault, error, mark);
        return 'parked';
      }
    }
  }
  if (!mark) return 'there';
  // What stood still has been got past, by us or by someone else. Who was told of more meanwhile found the mark, and left it to whom takes it away.
  await unmark(machine, target, mark);
  const head = (await machine.events.last(stream))?.version ?? 0;
  return head > version ? catchUp(machine, target, stream, head) : 'there';
}

/** To where the streams are that these events come after. */
async function bringOthers({ projection, others }: Target, events: Recorded[]): Promise<void> {
  if (!projection.behind || !others) return;
  const behind: { [type: string]: ((event: Recorded<never>) => string | undefined) | undefined } = projection.behind;
  const streams = events.flatMap((event) => behind[event.type]?.(event as Recorded<never>) ?? []);
  if (streams.length > 0) await others([...new Set(streams)]);
}

async function isAlive(machine: Machine, { projection, generation }: Target): Promise<boolean> {
  return alive((await readGenerations(machine)).get(projection.name)).includes(generation);
}

async function park(
  machine: Machine,
  target: Target,
  { stream, version }: Pick<StoredCommit, 'stream' | 'version'>,
  fault: Fault,
  error: unknown,
  before: Mark | undefined,
): Promise<void> {
  const { generation } = target;
  const projection = target.projection.name;
  const since = before?.version === version ? before.since : new Date(machine.now()).toISOString();
  const mark: Mark = { projection, generation, stream, version, fault, since, tried: machine.now() };
  await machine.records.write([{ op: 'put', ...markKey(target, stream), data: mark }]);
  machine.log.error('projection parked', { projection, generation, stream, version, fault, since }, error);
}

/** Unless it has been set anew since. */
async function unmark(machine: Machine, target: Target, { stream, version, tried }: Mark): Promise<void> {
  await machine.records.write([{ op: 'delete', ...markKey(target, stream), if: { equals: { version, tried } } }]);
}
