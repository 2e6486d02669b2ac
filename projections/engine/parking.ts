/** Streams at which a projection stands still because of a commit: which they are, and going on after the cause is mended. */
import { parseStream } from '../../domain/event.ts';
import type { Platform } from '../../domain/ports.ts';
import { catchUp, type ParkedRecord, parkedKey, parkedPk } from './catch-up.ts';
import { alive, cursorName, readGenerations } from './generations.ts';
import type { Projection } from './projection.ts';

/** `rebuilding`: not in the rows that are read, but in those that a rebuild is making. */
export type Parked = Pick<ParkedRecord, 'projection' | 'stream' | 'version' | 'fault' | 'since'> & {
  rebuilding: boolean;
};

/** All of them, or those of one projection, or at the streams of one account. */
export async function* parked(
  platform: Pick<Platform, 'records'>,
  only: { projection?: string; account?: string } = {},
): AsyncGenerator<Parked> {
  const generations = await readGenerations(platform);
  for await (const parkedRecord of allParked(platform)) {
    const { projection, stream, version, fault, since, generation } = parkedRecord;
    const now = generations.get(projection);
    if (only.projection !== undefined && projection !== only.projection) continue;
    if (only.account !== undefined && parseStream(stream).account !== only.account) continue;
    if (!alive(now).includes(generation)) continue;
    yield { projection, stream, version, fault, since, rebuilding: generation !== (now?.current ?? 1) };
  }
}

/** Whether a projection, as it is read, stands still at a stream. */
export async function isParked(
  platform: Pick<Platform, 'records'>,
  projection: string,
  stream: string,
): Promise<boolean> {
  const now = (await readGenerations(platform)).get(projection);
  return (
    (await platform.records.get({ pk: parkedPk, sk: `${cursorName(projection, now?.current ?? 1)} ${stream}` })) !==
    undefined
  );
}

/** How many streams go on, and how many stand still again, or still. */
export type Unparked = { healed: number; parked: number };

/**
 * Lets a projection go on, at one stream or at all where it stands still, and catches up at once. Safe beside live traffic and as often
 * as one likes: what fails again is parked again. Throws when the projection does not follow that kind of stream, and when the machine
 * fails.
 */
export async function unpark(platform: Platform, projection: Projection, stream?: string): Promise<Unparked> {
  if (stream === undefined) return retry(platform, [projection], () => true);
  const { type } = parseStream(stream);
  if (!projection.streams.includes(type))
    throw new Error(`${projection.name} follows ${projection.streams.join(', ')}, and no ${type}`);
  const counts: Unparked = { healed: 0, parked: 0 };
  for (const generation of alive((await readGenerations(platform)).get(projection.name))) {
    const target = { projection, generation };
    const stood = (await platform.records.get(parkedKey(target, stream))) !== undefined;
    const head = (await platform.events.last(stream))?.version ?? 0;
    const outcome = await catchUp(platform, target, stream, head);
    if (outcome === 'parked') counts.parked++;
    else if (stood) counts.healed++;
  }
  return counts;
}

/** Tries again all that was last tried before that time (milliseconds since the epoch), and drops marks of generations that are gone. */
export async function retryParked(
  platform: Platform,
  projections: Projection[],
  before: number,
  stop: () => boolean,
): Promise<Unparked> {
  return retry(platform, projections, ({ tried }) => tried < before, stop);
}

/** How many streams are caught up at a time. */
const width = 16;

async function retry(
  platform: Platform,
  projections: Projection[],
  due: (parkedRecord: ParkedRecord) => boolean,
  stop: () => boolean = () => false,
): Promise<Unparked> {
  const generations = await readGenerations(platform);
  const counts: Unparked = { healed: 0, parked: 0 };
  let some: Promise<void>[] = [];

  async function one(parkedRecord: ParkedRecord): Promise<void> {
    const projection = projections.find(({ name }) => name === parkedRecord.projection);
    if (!projection || !due(parkedRecord)) return;
    const { generation, stream } = parkedRecord;
    const target = { projection, generation };
    if (!alive(generations.get(parkedRecord.projection)).includes(generation)) {
      await platform.records.write([{ op: 'delete', ...parkedKey(target, stream) }]);
      return;
    }
    const head = (await platform.events.last(stream))?.version ?? 0;
    const outcome = await catchUp(platform, target, stream, head);
    counts[outcome === 'there' ? 'healed' : 'parked']++;
  }

  for await (const parkedRecord of allParked(platform)) {
    if (stop()) break;
    some.push(one(parkedRecord));
    if (some.length < width) continue;
    await Promise.all(some);
    some = [];
  }
  await Promise.all(some);
  return counts;
}

async function* allParked({ records }: Pick<Platform, 'records'>): AsyncGenerator<ParkedRecord> {
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await records.query(parkedPk, { limit: 100, ...(cursor ? { cursor } : {}) });
    for (const { data } of items) yield data as ParkedRecord;
    if (!next) return;
    cursor = next;
  }
}
