/**
 * The reconcile compares the activity with everything that is derived from it. It finds commits
 * that are missing in the ledger, on the bus or in a read model. It also finds gaps in the ledger.
 *
 * Only a lost stream record can cause a lasting lag. The reconcile therefore sends the missing notifications to the
 * relay and the projections, and repairs nothing itself. It writes only its own checkpoints.
 *
 * A walk reads the streams that are marked on the days since the last walk (news.ts). A walk over all streams scans the
 * activity instead. Either has parallel shares, reads one page of each per round, and saves its position after each
 * round. The next visit continues there. Of concurrent visits, all but one stop when they cannot save.
 */
import { type Lag, lagsOf } from '../../activity/lag.ts';
import { parseStream } from '../../domain/event.ts';
import { inParallel } from '../../domain/parallel.ts';
import type { Platform, StreamNotification } from '../../domain/ports.ts';
import { readGenerations } from '../../projections/engine/generations.ts';
import { projectionLags } from '../../projections/engine/lag.ts';
import type { Projection } from '../../projections/engine/projection.ts';
import { chunks } from './dynamo.ts';
import type { StreamShares } from './event-store.ts';
import { ledgerGapsIn } from './ledger-gaps.ts';
import type { LedgerProgress } from './ledger-progress.ts';
import { dayOf, type News, newsDays, newsLanes } from './news.ts';
import { add, type Counts, noCounts } from './reconcile-counts.ts';

/** The function that is notified: the relay writes ledger and bus, the projections write the read models. */
export type Consumer = 'relay' | 'projections';

export type ReconcileParts = Pick<Platform, 'events' | 'rows' | 'records' | 'now' | 'log'> & {
  news: News;
  streamShares: StreamShares;
  ledger: LedgerProgress;
  projections: Projection[];
  /** Resolves when the consumer has processed or set aside the notifications. */
  notify(consumer: Consumer, notifications: StreamNotification[]): Promise<void>;
};

/**
 * `stopped`: the next visit continues. `superseded`: a concurrent visit continues the walk. `not-due`: the walk of this
 * night is done.
 */
export type Reconciled = { outcome: 'done' | 'stopped' | 'superseded' | 'not-due'; counts: Counts };

export type ReconcileOptions = {
  /** Begins a walk over all streams. Its cost grows with the history. */
  all?: boolean;
  /** Begins no new walk if the last one began less than 12 hours ago. */
  nightly?: boolean;
  /** Called between rounds. True ends the visit. */
  stop?: () => boolean;
  /** A younger commit does not count as lost: it may still be in flight. */
  graceMilliseconds?: number;
};

/** A walk reads marked days in order up to the day it began, or all streams. */
type Walk = {
  revision: number;
  /** Milliseconds since the epoch. */
  began: number;
  /** Where the walk began, and where it is: a day, or `all`. */
  from: string;
  range: string;
  /** The position in each share of it, null at its end. */
  shares: (SharePosition | null)[];
  /** Streams that the last walk could not repair. The next round compares them. */
  again: string[];
  /** Streams that this walk could not repair, at most `maxUnrepaired`. */
  unrepaired: string[];
  /** Where the next walk begins. */
  next: string;
  counts: Counts;
};
type SharePosition = { cursor: string | null };

const key = { pk: 'reconcile', sk: 'days' };
/** The pages of all shares together fit in one read of cursors. */
const pageSize = 225;
/** Streams that are remembered. Of more, the next walk repeats the days of this one. */
const maxUnrepaired = 100;
/** Heads that are read at once. */
const parallelReads = 32;
/** The size of a batch of stream records. */
const notifyBatch = 100;
const halfDay = 12 * 60 * 60_000;
const tenMinutes = 10 * 60_000;
/** Covers clocks that differ, an append that takes long, and commits that were in flight. */
const overlap = 60 * 60_000;
/** Streams named in one log message. */
const maxLogged = 20;

/** Safe to call at any time, also concurrently. Throws when the platform fails. The next visit continues the walk. */
export async function reconcile(
  parts: ReconcileParts,
  { nightly = false, all = false, stop = () => false, graceMilliseconds = tenMinutes }: ReconcileOptions = {},
): Promise<Reconciled> {
  const { log, now } = parts;
  const visit: Visit = { parts, all: false, accounts: new Set(), failing: new Set(), before: '' };
  let walk = (await parts.records.get(key))?.data as Walk | undefined;
  if (!walk || all || isDone(walk)) {
    if (walk && nightly && now() - walk.began < halfDay) return { outcome: 'not-due', counts: walk.counts };
    const fresh = await save(parts, walk, newWalk(now(), all ? undefined : walk));
    if (!fresh) return { outcome: 'superseded', counts: noCounts() };
    walk = fresh;
  }
  while (!isDone(walk)) {
    if (stop()) return { outcome: 'stopped', counts: walk.counts };
    visit.all = walk.range === 'all';
    visit.before = new Date(now() - graceMilliseconds).toISOString();
    // The comparison sees only the rows in use. So those of a rebuild are compared after it, in the next walk.
    const rebuilding = await isRebuilding(parts);
    const { heads, ...position } = await nextPages(parts, walk);
    const { counts, unrepaired } = await compareAndRepair(visit, heads);
    const known = [...new Set([...walk.unrepaired, ...unrepaired])];
    const next = await save(parts, walk, {
      ...walk,
      ...position,
      again: [],
      unrepaired: known.slice(0, maxUnrepaired),
      next: rebuilding || known.length > maxUnrepaired ? walk.from : walk.next,
      counts: add(walk.counts, counts),
    });
    if (!next) return { outcome: 'superseded', counts: walk.counts };
    walk = next;
  }
  log.info('reconciled', { ...walk.counts, milliseconds: now() - walk.began });
  return { outcome: 'done', counts: walk.counts };
}

/** A walk from where the last one ended, or over all streams if there was none or its marks have expired. */
function newWalk(began: number, last: Walk | undefined): Omit<Walk, 'revision'> {
  const from = last && last.next > dayAt(began - (newsDays - 1) * 2 * halfDay) ? last.next : 'all';
  return {
    ...{ began, from, range: from, shares: allShares(), next: dayAt(began - overlap) },
    ...{ again: last?.unrepaired ?? [], unrepaired: [], counts: noCounts() },
  };
}

function allShares(): SharePosition[] {
  return Array.from({ length: newsLanes }, () => ({ cursor: null }));
}

function dayAt(milliseconds: number): string {
  return dayOf(new Date(milliseconds).toISOString());
}

function isDone({ range, began, shares }: Walk): boolean {
  return shares.every((share) => share === null) && (range === 'all' || range >= dayAt(began));
}

async function isRebuilding(parts: ReconcileParts): Promise<boolean> {
  return [...(await readGenerations(parts)).values()].some(({ building }) => building !== null);
}

/** Undefined when a concurrent visit saved the walk first. */
async function save(
  { records }: ReconcileParts,
  before: Walk | undefined,
  walk: Omit<Walk, 'revision'>,
): Promise<Walk | undefined> {
  const data: Walk = { ...walk, revision: (before?.revision ?? 0) + 1 };
  const unchanged = before ? { equals: { revision: before.revision } } : 'absent';
  return (await records.write([{ op: 'put', ...key, data, if: unchanged }])) ? data : undefined;
}

type Position = Pick<Walk, 'range' | 'shares'>;

/** Reads the next page of each share that has more. Returns their streams and the new position. */
async function nextPages(parts: ReconcileParts, walk: Walk): Promise<Position & { heads: StreamNotification[] }> {
  const found: StreamNotification[] = [];
  const marked = [...walk.again];
  const shares = await Promise.all(
    walk.shares.map(async (position, index) => {
      if (!position) return null;
      const page = { limit: pageSize, ...(position.cursor === null ? {} : { cursor: position.cursor }) };
      if (walk.range !== 'all') {
        const { items, next } = await parts.news.streams(walk.range, index, page);
        marked.push(...items);
        return next === null ? null : { cursor: next };
      }
      const { items, next } = await parts.streamShares({ ...page, share: { index, of: walk.shares.length } });
      found.push(...items);
      return next === null ? null : { cursor: next };
    }),
  );
  await inParallel(parallelReads, new Set(marked), async (stream) => {
    const head = await parts.events.last(stream);
    if (head) found.push({ stream, version: head.version });
  });
  const position: Position = { range: walk.range, shares };
  const isOver = shares.every((share) => share === null) && !isDone({ ...walk, shares });
  return { ...(isOver ? { range: dayAfter(walk.range), shares: allShares() } : position), heads: newestOf(found) };
}

function dayAfter(day: string): string {
  return dayAt(Date.parse(day) + 2 * halfDay);
}

/** Each stream once, at its highest version. */
function newestOf(notifications: StreamNotification[]): StreamNotification[] {
  const newest = new Map<string, number>();
  for (const { stream, version } of notifications) newest.set(stream, Math.max(version, newest.get(stream) ?? 0));
  return [...newest].map(([stream, version]) => ({ stream, version }));
}

/** The state of one visit. */
type Visit = {
  parts: ReconcileParts;
  /** The walk is over all streams, and checks whole ledgers. */
  all: boolean;
  /** Accounts whose ledger this visit has compared. */
  accounts: Set<string>;
  /** Consumers that failed. The visit does not notify them again, because that would only cost time. */
  failing: Set<Consumer>;
  /** Commits from this time on may still be in flight. ISO 8601. */
  before: string;
};

type Found = { missing: Lag[]; unpublished: StreamNotification[]; behind: Map<Projection['name'], Lag[]> };

/** Returns the counts of the round and the streams that it could not repair. */
async function compareAndRepair(
  visit: Visit,
  heads: StreamNotification[],
): Promise<{ counts: Counts; unrepaired: string[] }> {
  const { parts, before } = visit;
  const { log } = parts;
  const accounts = accountsOf(heads).filter((account) => !visit.accounts.has(account));
  for (const account of accounts) visit.accounts.add(account);
  const ledgerGaps = await ledgerGapsIn(parts, accounts, visit.all);
  const found = await compare(visit, heads, accounts);
  const counts: Counts = {
    ...noCounts(),
    streams: heads.length,
    accounts: accounts.length,
    ledgerGaps,
    ...sizesOf(found),
  };
  const lags = countOf(found);
  if (lags === 0) return { counts, unrepaired: [] };

  await notify(visit, 'relay', [...found.missing, ...found.unpublished]);
  await notify(visit, 'projections', [...found.behind.values()].flat());
  // The second comparison includes commits that only now entered the ledger, because they must be published too.
  const again = await compare({ parts, before }, lagging(found), accountsOf([...found.missing, ...found.unpublished]));
  counts.notRepaired = Math.min(lags, countOf(again));
  counts.repaired = lags - counts.notRepaired;
  const { missing, unpublished, behind } = counts;
  log.warn('Stream records were lost. The reconcile sent the notifications again.', {
    ...{ missing, unpublished, behind, repaired: counts.repaired, notRepaired: counts.notRepaired },
    streams: streamsOf(found).slice(0, maxLogged),
  });
  log.measure({ MissedNotifications: lags });
  const unrepaired = streamsOf(again);
  if (counts.notRepaired > 0) {
    log.error('The reconcile could not repair all lags. See the logs of relay and projections.', {
      notRepaired: counts.notRepaired,
      streams: unrepaired.slice(0, maxLogged),
    });
  }
  return { counts, unrepaired };
}

/** Reads progress after the heads, so that a commit in flight does not count as a lag. */
async function compare(
  { parts, before }: Pick<Visit, 'parts' | 'before'>,
  heads: StreamNotification[],
  accounts: string[],
): Promise<Found> {
  const [missing, unpublished, behind] = await Promise.all([
    parts.ledger.reached(heads.map(({ stream }) => stream)).then((reached) => lagsOf(parts, heads, reached, before)),
    unpublishedOf(parts, accounts, before),
    projectionLags(parts, parts.projections, heads, before),
  ]);
  return { missing, unpublished, behind };
}

/** By account: the first ledger entry that was not published, if it is old enough to count as lost. */
async function unpublishedOf(
  { events, ledger }: ReconcileParts,
  accounts: string[],
  before: string,
): Promise<StreamNotification[]> {
  const found: StreamNotification[] = [];
  for (const { account, head, published } of await ledger.accounts(accounts)) {
    if (head <= published) continue;
    const [entry] = await events.ledger(account, { afterSeq: published, order: 'asc', limit: 1 });
    if (entry && entry.at < before) found.push({ stream: entry.stream, version: entry.version });
  }
  return found;
}

async function notify({ parts, failing }: Visit, consumer: Consumer, lags: StreamNotification[]): Promise<void> {
  for (const batch of chunks(newestOf(lags), notifyBatch)) {
    if (failing.has(consumer)) return;
    try {
      await parts.notify(consumer, batch);
    } catch (error) {
      failing.add(consumer);
      parts.log.error('The reconcile could not notify a consumer. The next visit tries again.', { consumer }, error);
    }
  }
}

function accountsOf(notifications: StreamNotification[]): string[] {
  return [...new Set(notifications.map(({ stream }) => parseStream(stream).account))];
}

function lagging({ missing, behind }: Found): StreamNotification[] {
  return newestOf([...missing, ...[...behind.values()].flat()]);
}

function streamsOf(found: Found): string[] {
  return [...new Set([...lagging(found), ...found.unpublished].map(({ stream }) => stream))];
}

function sizesOf({ missing, unpublished, behind }: Found): Pick<Counts, 'missing' | 'unpublished' | 'behind'> {
  const perProjection = Object.fromEntries([...behind].map(([name, lags]) => [name, lags.length]));
  return { missing: missing.length, unpublished: unpublished.length, behind: perProjection };
}

function countOf(found: Found): number {
  const { missing, unpublished, behind } = sizesOf(found);
  return Object.values(behind).reduce((sum, count) => sum + count, missing + unpublished);
}
