/**
 * The cursor rule: at (projection, stream), a version at or below the cursor is skipped, the next one applied, a later one makes the gap
 * be loaded. Order, duplicates, retries and a rebuild beside live traffic are this one mechanism.
 */
import { decode } from '../../activity/decode.ts';
import type { Recorded } from '../../domain/event.ts';
import type { Platform, RecordKey, StoredCommit, StreamNotification } from '../../domain/ports.ts';
import { changesBy, type Fault, faultOf, MissingCommit } from './changes.ts';
import { alive, cursorName, readGenerations, rowsAt } from './generations.ts';
import type { Projection } from './projection.ts';

/** A generation of a projection. `others`: brings those that it comes after up to where these streams are, for what has to wait for that. */
export type Target = { projection: Projection; generation: number; others?: (streams: string[]) => Promise<void> };

/** That it stands still at a stream, before which version, since when (UTC ISO-8601), and when it was last tried (milliseconds). */
export type ParkedRecord = {
  projection: string;
  generation: number;
  stream: string;
  version: number;
  fault: Fault;
  since: string;
  tried: number;
};

/** Where a commit stops one: that (projection, stream) stands still, and all others go on. */
export const parkedPk = 'parked';

export function parkedKey({ projection, generation }: Target, stream: string): RecordKey {
  return { pk: parkedPk, sk: `${cursorName(projection.name, generation)} ${stream}` };
}

/** Commits held in memory at once. */
const atOnce = 100;

/**
 * Brings the target up to that version of the stream, also where it stood still before. `parked`: it stands still there, by a fault of a commit.
 * Throws when the machine fails, and then has parked nothing for it.
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

/** The same of many streams, each named once and left where it stands still: where the target is at them, and whether so, is asked of all at once. */
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
  const going = behind.filter(({ stream }) => (parked.get(stream)?.version ?? 0) <= cursorOf(stream));
  await Promise.all(
    going.map((notification) =>
      advance(platform, target, notification, cursorOf(notification.stream), parked.get(notification.stream)),
    ),
  );
}

/** From the cursor on, past the mark. */
async function advance(
  platform: Platform,
  target: Target,
  { stream, version }: StreamNotification,
  from: number,
  parkedRecord: ParkedRecord | undefined,
): Promise<'there' | 'parked'> {
  const rows = rowsAt(platform.rows, target.generation);
  const { name } = target.projection;
  let cursor = from;
  while (cursor < version) {
    const loaded = await platform.events.load(stream, { from: cursor + 1, limit: atOnce, known: version });
    // What came meanwhile is told of by itself: where the others may not have it yet, what comes last may not either.
    const commits = target.projection.last ? loaded.slice(0, version - cursor) : loaded;
    if (commits.length === 0) break;
    for (const commit of commits) {
      cursor++;
      try {
        if (commit.version !== cursor) throw new MissingCommit();
        const events = await decode(platform, commit);
        await bringOthers(target, events);
        const outcome = await rows.apply(name, stream, cursor, changesBy(target.projection, events));
        // Someone else may be quicker (stale). Nobody goes back, but a generation that was given up is cleared away.
        if (outcome === 'gap' && (await isAlive(platform, target)))
          throw new Error(`the cursor of ${name} went back at ${stream}`);
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
  // What stood still has been got past, by us or by someone else. Who was told of more meanwhile found the mark, and left it to whom takes it away.
  await removeParked(platform, target, parkedRecord);
  const head = (await platform.events.last(stream))?.version ?? 0;
  return head > version ? catchUp(platform, target, stream, head) : 'there';
}

/** To where the streams are that these events come after. */
async function bringOthers({ projection, others }: Target, events: Recorded[]): Promise<void> {
  if (!projection.behind || !others) return;
  const behind: { [type: string]: ((event: Recorded<never>) => string | undefined) | undefined } = projection.behind;
  const streams = events.flatMap((event) => behind[event.type]?.(event as Recorded<never>) ?? []);
  if (streams.length > 0) await others([...new Set(streams)]);
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

/** Unless it has been set anew since. */
async function removeParked(
  platform: Platform,
  target: Target,
  { stream, version, tried }: ParkedRecord,
): Promise<void> {
  await platform.records.write([{ op: 'delete', ...parkedKey(target, stream), if: { equals: { version, tried } } }]);
}
