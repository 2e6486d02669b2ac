/** An account's activity as auditors read it: the ledger's order, each commit's events, opened for their owner. */
import { type Actor, type Recorded, wireType } from '../domain/event.ts';
import type { JsonObject, LedgerEntry, Platform } from '../domain/ports.ts';
import { decode, UnreadableCommit } from './decode.ts';
import { decryptFields } from './personal-data.ts';

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

export type ActivityFilter = { from?: string; to?: string; actor?: string; type?: string; order: 'asc' | 'desc' };

/** Where a page ended: the ledger's number and how many of that commit's events were given. */
export type ActivityCursor = { seq: number; index: number };

/** Ledger entries looked at for one page, so that a rare filter cannot hold a request for ever; the cursor goes on from there. */
const scanLimit = 2000;
/** What an entry counts as whose commit need not be fetched, and how many are asked for where they are. */
const passedOverCost = 0.1;
const passedOverAtOnce = 1000;

/** Cursor index of an entry that is done with, going up and going down. */
const allOfIt = Number.MAX_SAFE_INTEGER;
const noneOfIt = -1;

/** One page of events that pass the filter. `type` matches the wire name with or without its version. */
export async function readActivity(
  platform: Platform,
  account: string,
  filter: ActivityFilter,
  page: { limit: number; cursor?: ActivityCursor },
): Promise<{ items: ActivityItem[]; next: ActivityCursor | null }> {
  const items: ActivityItem[] = [];
  const ascending = filter.order === 'asc';
  let cursor = page.cursor;
  let before: LedgerEntry | undefined;
  for (let scanned = 0; scanned < scanLimit; ) {
    const position = startPosition(filter, cursor, ascending);
    const behind = ascending && before !== undefined && isBehind(before, filter);
    const limit = behind ? passedOverAtOnce : Math.min(200, Math.max(20, page.limit));
    const entries = await platform.events.ledger(account, { ...position, order: filter.order, limit });
    requireGapless(entries, position, ascending);
    if (entries.length === 0) return { items, next: null };
    const worth = ascending
      ? entries.filter((entry, i) => mayBeBefore(entry, i === 0 ? before : entries[i - 1], filter))
      : entries;
    scanned += worth.length + passedOverCost * (entries.length - worth.length);
    for (const { entry, events } of await openEntries(platform, account, worth)) {
      if (!ascending && isBefore(entry, filter)) return { items, next: null };
      const all = events.map((event) => activityItem(entry, event));
      const inOrder = ascending ? all : all.toReversed();
      for (const item of inOrder) {
        if (cursor && item.seq === cursor.seq && (ascending ? item.index <= cursor.index : item.index >= cursor.index))
          continue;
        if (!passes(item, filter)) continue;
        items.push({ ...item, data: await decryptFields(platform, account, item.data) });
        if (items.length === page.limit) return { items, next: { seq: item.seq, index: item.index } };
      }
      cursor = { seq: entry.seq, index: ascending ? allOfIt : noneOfIt };
    }
    before = entries.at(-1);
    if (before) cursor = { seq: before.seq, index: ascending ? allOfIt : noneOfIt };
  }
  return { items, next: cursor ?? null };
}

/** An entry that was only given in part is read again. */
function startPosition(filter: ActivityFilter, cursor: ActivityCursor | undefined, ascending: boolean) {
  if (cursor && ascending) return { afterSeq: cursor.index === allOfIt ? cursor.seq : cursor.seq - 1 };
  if (cursor) return { beforeSeq: cursor.index === noneOfIt ? cursor.seq : cursor.seq + 1 };
  return ascending && filter.from ? { fromTime: filter.from } : {};
}

/** A list that has lost something is worse than none. */
function requireGapless(
  entries: LedgerEntry[],
  { afterSeq, beforeSeq }: { afterSeq?: number; beforeSeq?: number },
  ascending: boolean,
): void {
  const step = ascending ? 1 : -1;
  let before = ascending ? afterSeq : beforeSeq;
  for (const { seq } of entries) {
    if (before !== undefined && seq !== before + step) throw new Error(`the ledger has a gap before ${seq}`);
    before = seq;
  }
}

/** Nothing older comes after such an entry: no commit is later than its place in the ledger. */
function isBefore(entry: LedgerEntry, { from }: ActivityFilter): boolean {
  return from !== undefined && Date.parse(entry.at) < Date.parse(from);
}

function isBehind(entry: LedgerEntry, { to }: ActivityFilter): boolean {
  return to !== undefined && Date.parse(entry.at) >= Date.parse(to);
}

/**
 * Whether the commit may be of before `to`. A commit may be much older than its place: its relay was late, or the clock was set back. Then the entry
 * has the time of the one before it; with a later time it is the commit's own.
 */
function mayBeBefore(entry: LedgerEntry, before: LedgerEntry | undefined, filter: ActivityFilter): boolean {
  return !isBehind(entry, filter) || before === undefined || entry.at === before.at;
}

function passes(item: ActivityItem, filter: ActivityFilter): boolean {
  const at = Date.parse(item.at);
  if (filter.from !== undefined && at < Date.parse(filter.from)) return false;
  if (filter.to !== undefined && at >= Date.parse(filter.to)) return false;
  if (filter.actor !== undefined && item.actor.id !== filter.actor) return false;
  return filter.type === undefined || item.type === filter.type || item.type.replace(/\.v\d+$/, '') === filter.type;
}

/** A commit's place in the ledger and what is in it, personal fields still sealed. */
export type OpenedEntry = { entry: LedgerEntry; events: Recorded[] };

/**
 * The events of entries of an account's ledger, in the same order. Throws UnreadableCommit; one that is damaged is told to `damaged`
 * instead, if that is given, and has no events.
 */
export async function openEntries(
  platform: Pick<Platform, 'events' | 'blobs'>,
  account: string,
  entries: LedgerEntry[],
  damaged?: (error: UnreadableCommit) => void,
): Promise<OpenedEntry[]> {
  const commits = await platform.events.getMany(entries.map(({ stream, version }) => ({ stream, version })));
  const byPlace = new Map(commits.map((commit) => [`${commit.stream}@${commit.version}`, commit]));
  return Promise.all(
    entries.map(async (entry) => {
      const commit = byPlace.get(`${entry.stream}@${entry.version}`);
      if (!commit || commit.hash !== entry.hash || !entry.stream.startsWith(`${account}/`)) {
        throw new Error(`ledger entry ${entry.seq} and its commit do not agree`);
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

/** An event as the feed shows it, personal fields still sealed. */
export function activityItem({ seq, hash }: LedgerEntry, event: Recorded): ActivityItem {
  const { index, id, type, schemaVersion, at, actor, stream, version, data } = event;
  return { seq, index, id, type: wireType(type, schemaVersion), at, actor, stream, version, data, hash };
}
