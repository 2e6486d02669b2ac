/** Lists the streams at which projections are parked, and unparks them after the fault is fixed. */
import { parseStream } from '../../domain/event.ts';
import { allOf } from '../../domain/pages.ts';
import type { Platform } from '../../domain/ports.ts';
import { catchUp, type ParkedRecord, parkedKey, parkedPartition, type Target, updateDependencies } from './catch-up.ts';
import { alive, cursorName, readGenerations } from './generations.ts';
import type { Projection } from './projection.ts';

/** A parked stream. `rebuilding`: parked in the generation that a rebuild builds, not in the current one. */
export type Parked = Pick<ParkedRecord, 'projection' | 'stream' | 'version' | 'fault' | 'since'> & {
  rebuilding: boolean;
};

/** The parked streams of live generations, optionally of one projection or one account. */
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

/** Whether the current generation of a projection is parked at the stream. */
export async function isParked(
  platform: Pick<Platform, 'records'>,
  projection: string,
  stream: string,
): Promise<boolean> {
  const now = (await readGenerations(platform)).get(projection);
  return (
    (await platform.records.get({
      pk: parkedPartition,
      sk: `${cursorName(projection, now?.current ?? 1)} ${stream}`,
    })) !== undefined
  );
}

/** The number of streams that go on, and of those that stay parked. */
export type Unparked = { healed: number; parked: number };

/**
 * Retries a projection at one stream, or at every stream where it is parked, and catches up at once. Safe beside live
 * traffic and idempotent: a commit that fails again is parked again. Throws when the projection does not read that
 * stream type, or the platform fails.
 */
export async function unpark(platform: Platform, projection: Projection, stream?: string): Promise<Unparked> {
  if (stream === undefined) return retry(platform, [projection], () => true);
  const { type } = parseStream(stream);
  if (!projection.streams.includes(type))
    throw new Error(
      `Projection ${projection.name} does not read streams of type ${type}. It reads ${projection.streams.join(', ')}.`,
    );
  const counts: Unparked = { healed: 0, parked: 0 };
  for (const generation of alive((await readGenerations(platform)).get(projection.name))) {
    const target = { projection, generation };
    const wasParked = (await platform.records.get(parkedKey(target, stream))) !== undefined;
    const outcome = await catchUpToHead(platform, target, stream);
    if (outcome === 'parked') counts.parked++;
    else if (wasParked) counts.healed++;
  }
  return counts;
}

/**
 * Retries parked streams whose last attempt was before that time (milliseconds since the epoch). Deletes the records of
 * generations that no longer exist.
 */
export async function retryParked(
  platform: Platform,
  projections: Projection[],
  before: number,
  stop: () => boolean,
): Promise<Unparked> {
  return retry(platform, projections, ({ tried }) => tried < before, stop);
}

/** Maximum number of streams that catch up at once. */
const width = 16;

async function retry(
  platform: Platform,
  projections: Projection[],
  due: (parkedRecord: ParkedRecord) => boolean,
  stop: () => boolean = () => false,
): Promise<Unparked> {
  const generations = await readGenerations(platform);
  const counts: Unparked = { healed: 0, parked: 0 };
  let batch: Promise<void>[] = [];

  async function retryOne(parkedRecord: ParkedRecord): Promise<void> {
    const projection = projections.find(({ name }) => name === parkedRecord.projection);
    if (!projection || !due(parkedRecord)) return;
    const { generation, stream } = parkedRecord;
    const target = { projection, generation };
    if (!alive(generations.get(parkedRecord.projection)).includes(generation)) {
      await platform.records.write([{ op: 'delete', ...parkedKey(target, stream) }]);
      return;
    }
    const outcome = await catchUpToHead(platform, target, stream);
    counts[outcome === 'there' ? 'healed' : 'parked']++;
  }

  for await (const parkedRecord of allParked(platform)) {
    if (stop()) break;
    batch.push(retryOne(parkedRecord));
    if (batch.length < width) continue;
    await Promise.all(batch);
    batch = [];
  }
  await Promise.all(batch);
  return counts;
}

async function catchUpToHead(platform: Platform, target: Target, stream: string): Promise<'there' | 'parked'> {
  const version = (await platform.events.last(stream))?.version ?? 0;
  await updateDependencies(platform, target.projection, [{ stream, version }]);
  return catchUp(platform, target, stream, version);
}

async function* allParked({ records }: Pick<Platform, 'records'>): AsyncGenerator<ParkedRecord> {
  for await (const { data } of allOf((page) => records.query(parkedPartition, page), 100)) yield data as ParkedRecord;
}
