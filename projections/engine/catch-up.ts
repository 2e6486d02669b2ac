/**
 * The cursor rule: at (projection, stream) the engine skips a version at or below the cursor and applies the next one.
 * For a later version it loads the gap. Ordering, duplicates, retries and a rebuild beside live traffic need no other
 * mechanism.
 */
import { decode } from '../../activity/decode.ts';
import { parseStream } from '../../domain/event.ts';
import { inParallel } from '../../domain/parallel.ts';
import type { Platform, RecordKey, StoredCommit, StreamNotification } from '../../domain/ports.ts';
import { changesBy, type Fault, faultOf, MissingCommit } from './changes.ts';
import { alive, cursorName, readGenerations, rowsAt } from './generations.ts';
import type { Projection } from './projection.ts';

/** One generation of a projection. */
export type Target = { projection: Projection; generation: number };

/**
 * Marks a stream at which a generation is parked, and the version of the commit at fault. The time in `since` is UTC
 * ISO-8601. The time of the last attempt in `tried` is milliseconds since the epoch.
 */
export type ParkedRecord = {
  projection: string;
  generation: number;
  stream: string;
  version: number;
  fault: Fault;
  since: string;
  tried: number;
};

/** The partition of the parked records. */
export const parkedPartition = 'parked';

export function parkedKey({ projection, generation }: Target, stream: string): RecordKey {
  return { pk: parkedPartition, sk: `${cursorName(projection.name, generation)} ${stream}` };
}

/** Maximum number of commits of a stream in memory at once. */
const commitsAtOnce = 100;
/** Maximum number of streams that catch up at once, to leave capacity to other work. */
const width = 32;

/**
 * Brings the target to that version of the stream, and retries it where it is parked. Returns `parked` when the target
 * stops at a commit that is at fault. Throws when the platform fails, and parks nothing for that.
 */
export async function catchUp(
  platform: Platform,
  target: Target,
  stream: string,
  version: number,
): Promise<'there' | 'parked'> {
  const cursor = await rowsAt(platform.rows, target.generation).cursor(target.projection.name, stream);
  const parkedRecord = (await platform.records.get(parkedKey(target, stream)))?.data as ParkedRecord | undefined;
  return advance(platform, target, { stream, version }, cursor, parkedRecord);
}

/**
 * Like `catchUp` for many distinct streams, in parallel and with batch reads. Leaves out the streams at which the
 * target is parked.
 */
export async function catchUpAll(
  platform: Platform,
  target: Target,
  notifications: StreamNotification[],
): Promise<void> {
  const { name } = target.projection;
  const cursors = await rowsAt(platform.rows, target.generation).cursors(
    name,
    notifications.map(({ stream }) => stream),
  );
  const cursorOf = (stream: string) => cursors.get(stream) ?? 0;
  const behind = notifications.filter(({ stream, version }) => cursorOf(stream) < version);
  if (behind.length === 0) return;
  const found = await platform.records.getMany(behind.map(({ stream }) => parkedKey(target, stream)));
  const parked = new Map(found.map(({ data }) => [(data as ParkedRecord).stream, data as ParkedRecord]));
  // A parked record at or below the cursor is out of date: the stream has moved on.
  const moving = behind.filter(({ stream }) => (parked.get(stream)?.version ?? 0) <= cursorOf(stream));
  await inParallel(width, moving, (notification) =>
    advance(platform, target, notification, cursorOf(notification.stream), parked.get(notification.stream)),
  );
}

/** Applies commits from the cursor to the version, then removes the parked record. */
async function advance(
  platform: Platform,
  target: Target,
  { stream, version }: StreamNotification,
  from: number,
  parkedRecord: ParkedRecord | undefined,
): Promise<'there' | 'parked'> {
  const rows = rowsAt(platform.rows, target.generation);
  const { name, dependsOn } = target.projection;
  let cursor = from;
  while (cursor < version) {
    const loaded = await platform.events.load(stream, { from: cursor + 1, limit: commitsAtOnce, known: version });
    // Dependencies have processed the stream up to this version. Later commits have notifications of their own.
    const commits = dependsOn ? loaded.slice(0, version - cursor) : loaded;
    if (commits.length === 0) break;
    for (const commit of commits) {
      cursor++;
      try {
        if (commit.version !== cursor) throw new MissingCommit();
        const events = await decode(platform, commit);
        const outcome = await rows.apply(name, stream, cursor, changesBy(target.projection, events));
        // `stale` is fine: a concurrent worker was first. A gap means that clean-up removed a retired generation.
        if (outcome === 'gap' && (await isAlive(platform, target)))
          throw new Error(`The cursor of ${name} went back at ${stream}. Run the doctor, then rebuild ${name}.`);
        if (outcome === 'gap') return 'there';
      } catch (error) {
        const fault = faultOf(error);
        if (!fault) throw error;
        await park(platform, target, { stream, version: cursor }, fault, error, parkedRecord);
        return 'parked';
      }
    }
  }
  if (!parkedRecord) return 'there';
  // Notifications that arrived meanwhile found the parked record and left the stream alone. Handle them now.
  await removeParked(platform, target, parkedRecord);
  const head = (await platform.events.last(stream))?.version ?? 0;
  return head > version ? catchUp(platform, target, stream, head) : 'there';
}

/** Brings the dependencies of a projection to those versions, in every live generation. */
export async function updateDependencies(
  platform: Platform,
  { name, dependsOn, dependencies }: Projection,
  notifications: StreamNotification[],
): Promise<void> {
  if (!dependsOn) return;
  if (!dependencies) throw new Error(`${name} needs its dependencies. Pass it through linkDependencies.`);
  const generations = await readGenerations(platform);
  await Promise.all(
    dependencies.flatMap((projection) => {
      const followed = notifications.filter(({ stream }) => projection.streams.includes(parseStream(stream).type));
      return alive(generations.get(projection.name)).map((generation) =>
        catchUpAll(platform, { projection, generation }, followed),
      );
    }),
  );
}

async function isAlive(platform: Platform, { projection, generation }: Target): Promise<boolean> {
  return alive((await readGenerations(platform)).get(projection.name)).includes(generation);
}

async function park(
  platform: Platform,
  target: Target,
  { stream, version }: Pick<StoredCommit, 'stream' | 'version'>,
  fault: Fault,
  error: unknown,
  before: ParkedRecord | undefined,
): Promise<void> {
  const { generation } = target;
  const projection = target.projection.name;
  const since = before?.version === version ? before.since : new Date(platform.now()).toISOString();
  const parkedRecord: ParkedRecord = { projection, generation, stream, version, fault, since, tried: platform.now() };
  await platform.records.write([{ op: 'put', ...parkedKey(target, stream), data: parkedRecord }]);
  platform.log.error('projection parked', { projection, generation, stream, version, fault, since }, error);
}

/** Leaves a record that a concurrent worker has written since. */
async function removeParked(
  platform: Platform,
  target: Target,
  { stream, version, tried }: ParkedRecord,
): Promise<void> {
  await platform.records.write([{ op: 'delete', ...parkedKey(target, stream), if: { equals: { version, tried } } }]);
}
