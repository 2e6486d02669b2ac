/**
 * Makes a read model anew beside the one that is read: walks over all streams into generation n+1 while wake-ups go to both, and flips
 * once it has come to the end. Where it stands is on record, so whoever comes next goes on there; several at once do no harm.
 */
import { parseStream } from '../../domain/event.ts';
import type { Platform } from '../../domain/ports.ts';
import { catchUpAll, type ParkedRecord, parkedKey, parkedPk } from './catch-up.ts';
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
export async function rebuild(
  platform: Platform,
  projection: Projection,
  stop: Stop = () => false,
): Promise<RebuildOutcome> {
  await beginBuilding(platform, projection, true);
  return continueRebuild(platform, projection, stop);
}

/** Goes on with a rebuild that has begun, if it is this version's. */
export async function continueRebuild(platform: Platform, projection: Projection, stop: Stop): Promise<RebuildOutcome> {
  const { building } = (await readGenerations(platform)).get(projection.name) ?? {};
  if (!building || building.version !== projection.version) return 'superseded';
  const { generation } = building;
  let { cursor, walked } = building;
  while (!walked) {
    if (stop()) return 'stopped';
    const page = await platform.events.streams({ limit: streamsPerPage, ...(cursor === null ? {} : { cursor }) });
    const followed = page.items.filter(({ stream }) => projection.streams.includes(parseStream(stream).type));
    for (let i = 0; i < followed.length; i += width)
      await catchUpAll(platform, { projection, generation }, followed.slice(i, i + width));
    cursor = page.next;
    walked = cursor === null;
    if (!(await saveWalk(platform, projection.name, { generation, cursor, walked }))) return 'superseded';
  }
  const worse = await newlyParked(platform, projection, generation);
  if (worse > 0) {
    platform.log.error('a rebuild is held: the new fold fails where the old one did not', {
      projection: projection.name,
      streams: worse,
    });
    return 'held';
  }
  if (!(await flip(platform, projection.name, generation))) return 'superseded';
  platform.log.info('a projection was rebuilt', {
    projection: projection.name,
    generation,
    version: projection.version,
  });
  return 'flipped';
}

/** At how many streams the fold itself fails in the new generation and not in the current. What is damaged could not be had back by waiting. */
async function newlyParked(platform: Platform, projection: Projection, generation: number): Promise<number> {
  const current = (await readGenerations(platform)).get(projection.name)?.current ?? 1;
  let worse = 0;
  for await (const own of parkedOf(platform, projection, generation)) {
    const failing = own.filter(({ fault }) => fault === 'unprojectable' || fault === 'refused');
    const before = failing.map(({ stream }) => parkedKey({ projection, generation: current }, stream));
    worse += failing.length - (before.length > 0 ? (await platform.records.getMany(before)).length : 0);
  }
  return worse;
}

async function* parkedOf(platform: Platform, { name }: Projection, generation: number): AsyncGenerator<ParkedRecord[]> {
  for (let cursor: string | undefined; ; ) {
    const page = { prefix: `${cursorName(name, generation)} `, limit: 90, ...(cursor ? { cursor } : {}) };
    const { items, next } = await platform.records.query(parkedPk, page);
    yield items.map(({ data }) => data as ParkedRecord);
    if (!next) return;
    cursor = next;
  }
}

/** Whoever still reads or writes a generation that was given up is done by then. */
const graceMilliseconds = 5 * 60_000;
const rowsPerPage = 1000;

/** Clears away what is left of generations that nobody reads any more. Goes on where it was when stopped. */
export async function clearRetired(platform: Platform, projection: Projection, stop: Stop): Promise<void> {
  const { retired = [] } = (await readGenerations(platform)).get(projection.name) ?? {};
  for (const each of retired.filter(({ at }) => platform.now() - at >= graceMilliseconds)) {
    let now: Retired | undefined = each;
    while (now) {
      if (stop()) return;
      now =
        now.step === 'rows'
          ? await clearRows(platform, projection, now)
          : await clearCursors(platform, projection, now);
      await saveRetired(platform, projection, each.generation, now);
    }
  }
}

/** A page of the table without the generation's rows; where to go on. */
async function clearRows(platform: Platform, { name }: Projection, now: Retired): Promise<Retired> {
  const page = await platform.rows.scan(name, {
    limit: rowsPerPage,
    ...(now.cursor === null ? {} : { cursor: now.cursor }),
  });
  const gone = page.items.filter((row) => generationOf(row) === now.generation);
  if (gone.length > 0) await platform.rows.remove(name, gone);
  return { ...now, cursor: page.next, step: page.next === null ? 'cursors' : 'rows' };
}

/** A page of streams without the generation's cursors; where to go on, undefined at the end. */
async function clearCursors(platform: Platform, projection: Projection, now: Retired): Promise<Retired | undefined> {
  const page = await platform.events.streams({
    limit: rowsPerPage,
    ...(now.cursor === null ? {} : { cursor: now.cursor }),
  });
  const streams = page.items.map(({ stream }) => stream);
  if (streams.length > 0) await rowsAt(platform.rows, now.generation).forget(projection.name, streams);
  if (page.next !== null) return { ...now, cursor: page.next };
  for await (const left of parkedOf(platform, projection, now.generation)) {
    if (left.length === 0) continue;
    const target = { projection, generation: now.generation };
    await platform.records.write(left.map(({ stream }) => ({ op: 'delete', ...parkedKey(target, stream) })));
  }
  return undefined;
}

async function saveRetired(
  platform: Platform,
  { name }: Projection,
  generation: number,
  now: Retired | undefined,
): Promise<void> {
  await changeGenerations(
    platform,
    name,
    (known) =>
      known && {
        ...known,
        retired: known.retired.flatMap((each) => (each.generation !== generation ? [each] : now ? [now] : [])),
      },
  );
}
