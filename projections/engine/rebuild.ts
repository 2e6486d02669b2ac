/**
 * Rebuilds a read model beside the one that queries read. It walks all streams into generation n+1, while the runner
 * applies new commits to both, and then flips to n+1. The position of the walk is stored, so any process can continue a
 * rebuild. Several at once do no harm.
 */
import { parseStream } from '../../domain/event.ts';
import { pagesOf } from '../../domain/pages.ts';
import type { Platform } from '../../domain/ports.ts';
import { catchUpAll, type ParkedRecord, parkedKey, parkedPartition, updateDependencies } from './catch-up.ts';
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

/** Called between small pieces of work. True: stop, and leave the rest to the next call. */
export type Stop = () => boolean;

/**
 * - `held`: the walk is done, but the new fold fails where the old one did not. Queries still read the old rows. A
 *   fixed fold continues from here.
 * - `stopped`: `Stop` ended the call.
 * - `superseded`: another version of the code runs its own rebuild.
 */
export type RebuildOutcome = 'rebuilt' | 'held' | 'stopped' | 'superseded';

const streamsPerPage = 200;

/** Starts or continues a rebuild. Throws when the platform fails, then the next call continues. */
export async function rebuild(
  platform: Platform,
  projection: Projection,
  stop: Stop = () => false,
): Promise<RebuildOutcome> {
  await beginBuilding(platform, projection, true);
  return continueRebuild(platform, projection, stop);
}

/** Continues a rebuild that this version of the fold has begun. */
export async function continueRebuild(platform: Platform, projection: Projection, stop: Stop): Promise<RebuildOutcome> {
  const { building } = (await readGenerations(platform)).get(projection.name) ?? {};
  if (!building || building.version !== projection.version) return 'superseded';
  const { generation } = building;
  let { cursor, walked } = building;
  while (!walked) {
    if (stop()) return 'stopped';
    const page = await platform.events.streams({ limit: streamsPerPage, ...(cursor === null ? {} : { cursor }) });
    const followed = page.items.filter(({ stream }) => projection.streams.includes(parseStream(stream).type));
    await updateDependencies(platform, projection, followed);
    await catchUpAll(platform, { projection, generation }, followed);
    cursor = page.next;
    walked = cursor === null;
    if (!(await saveWalk(platform, projection.name, { generation, cursor, walked }))) return 'superseded';
  }
  const newFaults = await countNewFaults(platform, projection, generation);
  if (newFaults > 0) {
    platform.log.error('rebuild held, because the new fold fails where the old one did not', {
      projection: projection.name,
      streams: newFaults,
    });
    return 'held';
  }
  if (!(await flip(platform, projection.name, generation))) return 'superseded';
  platform.log.info('projection rebuilt', {
    projection: projection.name,
    generation,
    version: projection.version,
  });
  return 'rebuilt';
}

/**
 * Counts the streams at which the fold fails in the new generation but not in the current one. Damaged commits do not
 * count, because waiting does not bring them back.
 */
async function countNewFaults(platform: Platform, projection: Projection, generation: number): Promise<number> {
  const current = (await readGenerations(platform)).get(projection.name)?.current ?? 1;
  let count = 0;
  for await (const page of parkedOf(platform, projection, generation)) {
    const failing = page.filter(({ fault }) => fault === 'unprojectable' || fault === 'refused');
    const before = failing.map(({ stream }) => parkedKey({ projection, generation: current }, stream));
    count += failing.length - (before.length > 0 ? (await platform.records.getMany(before)).length : 0);
  }
  return count;
}

/** The parked records of a generation, in pages. */
async function* parkedOf(platform: Platform, { name }: Projection, generation: number): AsyncGenerator<ParkedRecord[]> {
  const prefix = `${cursorName(name, generation)} `;
  for await (const page of pagesOf((page) => platform.records.query(parkedPartition, { prefix, ...page }), 90))
    yield page.map(({ data }) => data as ParkedRecord);
}

/** After this time no process reads or writes a retired generation any more. */
const graceMilliseconds = 5 * 60_000;
const rowsPerPage = 1000;

/** Deletes rows, cursors and parked records of retired generations. Continues where it was stopped. */
export async function clearRetired(platform: Platform, projection: Projection, stop: Stop): Promise<void> {
  const { retired = [] } = (await readGenerations(platform)).get(projection.name) ?? {};
  for (const due of retired.filter(({ at }) => platform.now() - at >= graceMilliseconds)) {
    let now: Retired | undefined = due;
    while (now) {
      if (stop()) return;
      now =
        now.step === 'rows'
          ? await clearRows(platform, projection, now)
          : await clearCursors(platform, projection, now);
      await saveRetired(platform, projection, due.generation, now);
    }
  }
}

/** Deletes the generation's rows from one page of the table. Returns the next position. */
async function clearRows(platform: Platform, { name }: Projection, now: Retired): Promise<Retired> {
  const page = await platform.rows.scan(name, {
    limit: rowsPerPage,
    ...(now.cursor === null ? {} : { cursor: now.cursor }),
  });
  const rows = page.items.filter((row) => generationOf(row) === now.generation);
  if (rows.length > 0) await platform.rows.remove(name, rows);
  return { ...now, cursor: page.next, step: page.next === null ? 'cursors' : 'rows' };
}

/** Deletes the generation's cursors at one page of streams. Returns the next position, undefined at the end. */
async function clearCursors(platform: Platform, projection: Projection, now: Retired): Promise<Retired | undefined> {
  const page = await platform.events.streams({
    limit: rowsPerPage,
    ...(now.cursor === null ? {} : { cursor: now.cursor }),
  });
  const streams = page.items.map(({ stream }) => stream);
  if (streams.length > 0) await rowsAt(platform.rows, now.generation).forget(projection.name, streams);
  if (page.next !== null) return { ...now, cursor: page.next };
  for await (const records of parkedOf(platform, projection, now.generation)) {
    if (records.length === 0) continue;
    const target = { projection, generation: now.generation };
    await platform.records.write(records.map(({ stream }) => ({ op: 'delete', ...parkedKey(target, stream) })));
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
        retired: known.retired.flatMap((entry) => (entry.generation !== generation ? [entry] : now ? [now] : [])),
      },
  );
}
