/**
 * Makes a read model anew beside the one that is read: walks over all streams into generation n+1 while wake-ups go to both, and flips
 * once it has come to the end. Where it stands is on record, so whoever comes next goes on there; several at once do no harm.
 */
import { parseStream } from '../domain/event.ts';
import type { Machine } from '../domain/ports.ts';
import { catchUpAll, type Mark, markKey, marks } from './catch-up.ts';
import {
  beginBuilding,
  changeGenerations,
  cursorName,
  flip,
  generationOf,
  type Retired,
  readGenerations,
  rowsAt,
  saveWalk,
} from './generations.ts';
import type { Projection } from './projection.ts';

/** Asked between small pieces of work; true: leave the rest for another time. */
export type Stop = () => boolean;

/**
 * `held`: caught up, but the fold fails where the one before did not: the old rows are still read, and a mended fold goes on from here.
 * `stopped`: asked to. `superseded`: another version of the code builds its own.
 */
export type RebuildOutcome = 'flipped' | 'held' | 'stopped' | 'superseded';

const streamsPerPage = 100;
/** Streams caught up at a time: live traffic wants its share. */
const width = 8;

/** Rebuilds a projection, or goes on with the rebuild of it that is under way. Throws when the machine fails; then the next call goes on. */
export async function rebuild(machine: Machine, projection: Projection, stop: Stop = () => false): Promise<RebuildOutcome> {
  await beginBuilding(machine, projection, true);
  return continueRebuild(machine, projection, stop);
}

/** Goes on with a rebuild that has begun, if it is this version's. */
export async function continueRebuild(machine: Machine, projection: Projection, stop: Stop): Promise<RebuildOutcome> {
  const { building } = (await readGenerations(machine)).get(projection.name) ?? {};
  if (!building || building.version !== projection.version) return 'superseded';
  const { generation } = building;
  let { cursor, walked } = building;
  while (!walked) {
    if (stop()) return 'stopped';
    const page = await machine.events.streams({ limit: streamsPerPage, ...(cursor === null ? {} : { cursor }) });
    const followed = page.items.filter(({ stream }) => projection.streams.includes(parseStream(stream).type));
    for (let i = 0; i < followed.length; i += width) await catchUpAll(machine, { projection, generation }, followed.slice(i, i + width));
    cursor = page.next;
    walked = cursor === null;
    if (!(await saveWalk(machine, projection.name, { generation, cursor, walked }))) return 'superseded';
  }
  const worse = await newlyParked(machine, projection, generation);
  if (worse > 0) {
    machine.log.error('a rebuild is held: the new fold fails where the old one did not', { projection: projection.name, streams: worse });
    return 'held';
  }
  if (!(await flip(machine, projection.name, generation))) return 'superseded';
  machine.log.info('a projection was rebuilt', { projection: projection.name, generation, version: projection.version });
  return 'flipped';
}

/** At how many streams the fold itself fails in the new generation and not in the current. What is damaged could not be had back by waiting. */
async function newlyParked(machine: Machine, projection: Projection, generation: number): Promise<number> {
  const current = (await readGenerations(machine)).get(projection.name)?.current ?? 1;
  let worse = 0;
  for await (const own of marksOf(machine, projection, generation)) {
    const failing = own.filter(({ fault }) => fault === 'unprojectable' || fault === 'refused');
    const before = failing.map(({ stream }) => markKey({ projection, generation: current }, stream));
    worse += failing.length - (before.length > 0 ? (await machine.records.getMany(before)).length : 0);
  }
  return worse;
}

async function* marksOf(machine: Machine, { name }: Projection, generation: number): AsyncGenerator<Mark[]> {
  for (let cursor: string | undefined; ; ) {
    const page = { prefix: `${cursorName(name, generation)} `, limit: 90, ...(cursor ? { cursor } : {}) };
    const { items, next } = await machine.records.query(marks, page);
    yield items.map(({ data }) => data as Mark);
    if (!next) return;
    cursor = next;
  }
}

/** Whoever still reads or writes a generation that was given up is done by then. */
const graceMilliseconds = 5 * 60_000;
const rowsPerPage = 1000;

/** Clears away what is left of generations that nobody reads any more. Goes on where it was when stopped. */
export async function clearRetired(machine: Machine, projection: Projection, stop: Stop): Promise<void> {
  const { retired = [] } = (await readGenerations(machine)).get(projection.name) ?? {};
  for (const each of retired.filter(({ at }) => machine.now() - at >= graceMilliseconds)) {
    let now: Retired | undefined = each;
    while (now) {
      if (stop()) return;
      now = now.step === 'rows' ? await clearRows(machine, projection, now) : await clearCursors(machine, projection, now);
      await saveRetired(machine, projection, each.generation, now);
    }
  }
}

/** A page of the table without the generation's rows; where to go on. */
async function clearRows(machine: Machine, { name }: Projection, now: Retired): Promise<Retired> {
  const page = await machine.rows.scan(name, { limit: rowsPerPage, ...(now.cursor === null ? {} : { cursor: now.cursor }) });
  const gone = page.items.filter((row) => generationOf(row) === now.generation);
  if (gone.length > 0) await machine.rows.remove(name, gone);
  return { ...now, cursor: page.next, step: page.next === null ? 'cursors' : 'rows' };
}

/** A page of streams without the generation's cursors; where to go on, undefined at the end. */
async function clearCursors(machine: Machine, projection: Projection, now: Retired): Promise<Retired | undefined> {
  const page = await machine.events.streams({ limit: rowsPerPage, ...(now.cursor === null ? {} : { cursor: now.cursor }) });
  const streams = page.items.map(({ stream }) => stream);
  if (streams.length > 0) await rowsAt(machine.rows, now.generation).forget(projection.name, streams);
  if (page.next !== null) return { ...now, cursor: page.next };
  for await (const left of marksOf(machine, projection, now.generation)) {
    if (left.length === 0) continue;
    const target = { projection, generation: now.generation };
    await machine.records.write(left.map(({ stream }) => ({ op: 'delete', ...markKey(target, stream) })));
  }
  return undefined;
}

async function saveRetired(machine: Machine, { name }: Projection, generation: number, now: Retired | undefined): Promise<void> {
  await changeGenerations(
    machine,
    name,
    (known) =>
      known && {
        ...known,
        retired: known.retired.flatMap((each) => (each.generation !== generation ? [each] : now ? [now] : [])),
      },
  );
}
