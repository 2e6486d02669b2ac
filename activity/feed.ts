/** The activity of an account for auditors: all events in ledger order, with personal fields decrypted. */
import { type Actor, type Recorded, wireType } from '../domain/event.ts';
import type { JsonObject, LedgerEntry, Platform } from '../domain/ports.ts';
import { decode, UnreadableCommit } from './decode.ts';
import { decryptFields } from './personal-data.ts';

/** `index`: position of the event in its commit. `hash`: that of the commit. */
export type ActivityItem = {
  seq: number;
  index: number;
  id: string;
  type: string;
  at: string;
  actor: Actor;
  stream: string;
  version: number;
  data: JsonObject;
  hash: string;
};

/** `from` (inclusive) and `to` (exclusive) are UTC ISO-8601. `actor` is an id. */
export type ActivityFilter = { from?: string; to?: string; actor?: string; type?: string; order: 'asc' | 'desc' };

/** The last event of a page: the `seq` of its ledger entry and its index in the commit. */
export type ActivityCursor = { seq: number; index: number };

/** Ledger entries read for one page. Bounds a request with a rare filter. The cursor continues after them. */
const scanLimit = 2000;
/** An entry whose commit is not loaded counts as this part of an entry. */
const skippedCost = 0.1;
/** The maximum number of those entries in one read. */
const skippedAtOnce = 1000;

/** Cursor index of a complete entry, in ascending and in descending order. */
const completeAscending = Number.MAX_SAFE_INTEGER;
const completeDescending = -1;

/**
 * One page of the events that match the filter. `type` matches the wire name with or without its version. A page may
 * hold fewer events than `limit`, or none, with `next` set.
 */
export async function readActivity(
  platform: Platform,
  account: string,
  filter: ActivityFilter,
  page: { limit: number; cursor?: ActivityCursor },
): Promise<{ items: ActivityItem[]; next: ActivityCursor | null }> {
  const items: ActivityItem[] = [];
  const ascending = filter.order === 'asc';
  const complete = ascending ? completeAscending : completeDescending;
  let cursor = page.cursor;
  let previous: LedgerEntry | undefined;
  for (let scanned = 0; scanned < scanLimit; ) {
    const position = startPosition(filter, cursor, ascending);
    const pastEnd = ascending && previous !== undefined && isAtOrAfterTo(previous, filter);
    const limit = pastEnd ? skippedAtOnce : Math.min(200, Math.max(20, page.limit));
    const entries = await platform.events.ledger(account, { ...position, order: filter.order, limit });
    requireGapless(entries, position, ascending);
    if (entries.length === 0) return { items, next: null };
    const candidates = ascending
      ? entries.filter((entry, i) => mayBeBeforeTo(entry, i === 0 ? previous : entries[i - 1], filter))
      : entries;
    scanned += candidates.length + skippedCost * (entries.length - candidates.length);
    for (const { entry, events } of await openEntries(platform, account, candidates)) {
      if (!ascending && isBeforeFrom(entry, filter)) return { items, next: null };
      const all = events.map((event) => activityItem(entry, event));
      const inOrder = ascending ? all : all.toReversed();
      for (const item of inOrder) {
        if (cursor && item.seq === cursor.seq && (ascending ? item.index <= cursor.index : item.index >= cursor.index))
          continue;
        if (!matches(item, filter)) continue;
        items.push({ ...item, data: await decryptFields(platform, account, item.data) });
        if (items.length === page.limit) return { items, next: { seq: item.seq, index: item.index } };
      }
      cursor = { seq: entry.seq, index: complete };
    }
    previous = entries.at(-1);
    if (previous) cursor = { seq: previous.seq, index: complete };
  }
  return { items, next: cursor ?? null };
}

/** An entry that the last page returned in part is read again. */
function startPosition(filter: ActivityFilter, cursor: ActivityCursor | undefined, ascending: boolean) {
  if (cursor && ascending) return { afterSeq: cursor.index === completeAscending ? cursor.seq : cursor.seq - 1 };
  if (cursor) return { beforeSeq: cursor.index === completeDescending ? cursor.seq : cursor.seq + 1 };
  return ascending && filter.from ? { fromTime: filter.from } : {};
}

/** Throws on a gap: for an auditor an error is better than an incomplete list. */
function requireGapless(
  entries: LedgerEntry[],
  { afterSeq, beforeSeq }: { afterSeq?: number; beforeSeq?: number },
  ascending: boolean,
): void {
  const step = ascending ? 1 : -1;
  let previous = ascending ? afterSeq : beforeSeq;
  for (const { seq } of entries) {
    if (previous !== undefined && seq !== previous + step) throw new Error(`The ledger has a gap at entry ${seq}.`);
    previous = seq;
  }
}

/** In descending order, no later entry can match: no commit is newer than its ledger entry. */
function isBeforeFrom(entry: LedgerEntry, { from }: ActivityFilter): boolean {
  return from !== undefined && Date.parse(entry.at) < Date.parse(from);
}

function isAtOrAfterTo(entry: LedgerEntry, { to }: ActivityFilter): boolean {
  return to !== undefined && Date.parse(entry.at) >= Date.parse(to);
}

/**
 * Whether the commit may be older than `to`. A commit may be much older than its ledger entry, because the relay was
 * late or the clock was set back. Then the entry has the time of the entry before it. Otherwise it has the time of the
 * commit.
 */
function mayBeBeforeTo(entry: LedgerEntry, previous: LedgerEntry | undefined, filter: ActivityFilter): boolean {
  return !isAtOrAfterTo(entry, filter) || previous === undefined || entry.at === previous.at;
}

function matches(item: ActivityItem, filter: ActivityFilter): boolean {
  const at = Date.parse(item.at);
  if (filter.from !== undefined && at < Date.parse(filter.from)) return false;
  if (filter.to !== undefined && at >= Date.parse(filter.to)) return false;
  if (filter.actor !== undefined && item.actor.id !== filter.actor) return false;
  return filter.type === undefined || item.type === filter.type || item.type.replace(/\.v\d+$/, '') === filter.type;
}

/** A ledger entry and the events of its commit, with personal fields encrypted. */
export type OpenedEntry = { entry: LedgerEntry; events: Recorded[] };

/**
 * Loads the events of ledger entries of the account, in the same order. Throws UnreadableCommit. With `damaged`, it
 * calls `damaged` for a damaged commit instead and returns no events for it.
 */
export async function openEntries(
  platform: Pick<Platform, 'events' | 'blobs'>,
  account: string,
  entries: LedgerEntry[],
  damaged?: (error: UnreadableCommit) => void,
): Promise<OpenedEntry[]> {
  const commits = await platform.events.getMany(entries.map(({ stream, version }) => ({ stream, version })));
  const byVersion = new Map(commits.map((commit) => [`${commit.stream}@${commit.version}`, commit]));
  return Promise.all(
    entries.map(async (entry) => {
      const commit = byVersion.get(`${entry.stream}@${entry.version}`);
      if (!commit || commit.hash !== entry.hash || !entry.stream.startsWith(`${account}/`)) {
        throw new Error(`Ledger entry ${entry.seq} and its commit do not agree.`);
      }
      const events = await decode(platform, commit).catch((error: unknown) => {
        if (!damaged || !(error instanceof UnreadableCommit) || error.why !== 'damaged') throw error;
        damaged(error);
        return [];
      });
      return { entry, events };
    }),
  );
}

/** An event as an activity item, with personal fields encrypted. */
export function activityItem({ seq, hash }: LedgerEntry, event: Recorded): ActivityItem {
  const { index, id, type, schemaVersion, at, actor, stream, version, data } = event;
  return { seq, index, id, type: wireType(type, schemaVersion), at, actor, stream, version, data, hash };
}
