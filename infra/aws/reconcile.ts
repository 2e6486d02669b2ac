/**
 * The reconcile compares the activity with everything that is derived from it. It finds commits
 * that are missing in the ledger, on the bus or in a read model. It also finds gaps in the ledger.
 *
 * Only a lost stream record can cause a lasting lag. The reconcile therefore sends the missing notifications to the
 * relay and the projections, and repairs nothing itself. It writes only its own checkpoint.
 *
 * A walk scans all streams in parallel shares, one page of each share per round, and saves its position after each
 * round. The next visit continues there. Of concurrent visits, all but one stop when they cannot save.
 */
import { type Lag, lagsOf } from '../../activity/lag.ts';
import { parseStream } from '../../domain/event.ts';
import type { Platform, StreamNotification } from '../../domain/ports.ts';
import { projectionLags } from '../../projections/engine/lag.ts';
import type { Projection } from '../../projections/engine/projection.ts';
import { chunks } from './dynamo.ts';
import type { StreamShares } from './event-store.ts';
import type { LedgerProgress } from './ledger-progress.ts';

/** The function that is notified: the relay writes ledger and bus, the projections write the read models. */
export type Consumer = 'relay' | 'projections';

export type ReconcileParts = Pick<Platform, 'events' | 'rows' | 'records' | 'now' | 'log'> & {
  streamShares: StreamShares;
  ledger: LedgerProgress;
  projections: Projection[];
  /** Resolves when the consumer has processed or set aside the notifications. */
  notify(consumer: Consumer, notifications: StreamNotification[]): Promise<void>;
};

export type Counts = {
  /** Streams compared. A stream that spans pages counts once per page. */
  streams: number;
  /** Accounts whose ledger was compared. Each visit that continues the walk counts them again. */
  accounts: number;
  /** Streams with commits that are missing in the ledger. */
  missing: number;
  /** Accounts with ledger entries that were not published on the bus. */
  unpublished: number;
  /** By projection: streams with commits that its read model lacks. */
  behind: { [projection: string]: number };
  /** Of all these lags: the number repaired, and the number that remain. */
  repaired: number;
  notRepaired: number;
  /** Sequence numbers without a ledger entry. The reconcile cannot repair them. */
  ledgerGaps: number;
};

/**
 * `stopped`: the next visit continues. `superseded`: a concurrent visit continues the walk. `not-due`: the walk of this
 * night is done.
 */
export type Reconciled = { outcome: 'done' | 'stopped' | 'superseded' | 'not-due'; counts: Counts };

export type ReconcileOptions = {
  /** Begins no new walk if the last one began less than 12 hours ago. */
  nightly?: boolean;
  /** Called between rounds. True ends the visit. */
  stop?: () => boolean;
  /** A younger commit does not count as lost: it may still be in flight. */
  graceMilliseconds?: number;
};

/** The stored walk. `shares`: the position in each share, null at its end. `began`: milliseconds since the epoch. */
type Walk = { revision: number; began: number; shares: (SharePosition | null)[]; counts: Counts };
type SharePosition = { cursor: string | null };

const key = { pk: 'reconcile', sk: 'walk' };
const shareCount = 4;
/** The pages of all shares together fit in one read of cursors. */
const pageSize = 250;
/** The size of a batch of stream records. */
const notifyBatch = 100;
const halfDay = 12 * 60 * 60_000;
const tenMinutes = 10 * 60_000;
/** Streams named in one log message. */
const maxLogged = 20;

/** Safe to call at any time, also concurrently. Throws when the platform fails. The next visit continues the walk. */
export async function reconcile(
  parts: ReconcileParts,
  { nightly = false, stop = () => false, graceMilliseconds = tenMinutes }: ReconcileOptions = {},
): Promise<Reconciled> {
  const { log, now } = parts;
  const visit: Visit = { parts, accounts: new Set(), failing: new Set(), before: '' };
  let walk = (await parts.records.get(key))?.data as Walk | undefined;
  if (!walk || isDone(walk)) {
    if (walk && nightly && now() - walk.began < halfDay) return { outcome: 'not-due', counts: walk.counts };
    const shares = Array.from({ length: shareCount }, (): SharePosition => ({ cursor: null }));
    const fresh = await save(parts, walk, { began: now(), shares, counts: noCounts() });
    if (!fresh) return { outcome: 'superseded', counts: noCounts() };
    walk = fresh;
  }
  while (!isDone(walk)) {
    if (stop()) return { outcome: 'stopped', counts: walk.counts };
    visit.before = new Date(now() - graceMilliseconds).toISOString();
    const { heads, shares } = await nextPages(parts, walk.shares);
    const counts = add(walk.counts, await compareAndRepair(visit, heads));
    const next = await save(parts, walk, { began: walk.began, shares, counts });
    if (!next) return { outcome: 'superseded', counts: walk.counts };
    walk = next;
  }
  log.info('reconciled', { ...walk.counts, milliseconds: now() - walk.began });
  return { outcome: 'done', counts: walk.counts };
}

function isDone({ shares }: Walk): boolean {
  return shares.every((share) => share === null);
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

/** Reads the next page of each share that has more. Returns their streams and the new positions. */
async function nextPages(
  { streamShares }: ReconcileParts,
  positions: Walk['shares'],
): Promise<{ heads: StreamNotification[]; shares: Walk['shares'] }> {
  const newest = new Map<string, number>();
  const shares = await Promise.all(
    positions.map(async (position, index) => {
      if (!position) return null;
      const share = { index, of: positions.length };
      const page = await streamShares({
        share,
        limit: pageSize,
        ...(position.cursor === null ? {} : { cursor: position.cursor }),
      });
      for (const { stream, version } of page.items) newest.set(stream, Math.max(version, newest.get(stream) ?? 0));
      return page.next === null ? null : { cursor: page.next };
    }),
  );
  return { heads: [...newest].map(([stream, version]) => ({ stream, version })), shares };
}

/** The state of one visit. */
type Visit = {
  parts: ReconcileParts;
  /** Accounts whose ledger this visit has compared. */
  accounts: Set<string>;
  /** Consumers that failed. The visit does not notify them again, because that would only cost time. */
  failing: Set<Consumer>;
  /** Commits from this time on may still be in flight. ISO 8601. */
  before: string;
};

type Found = { missing: Lag[]; unpublished: StreamNotification[]; behind: Map<Projection['name'], Lag[]> };

async function compareAndRepair(visit: Visit, heads: StreamNotification[]): Promise<Counts> {
  const { parts, before } = visit;
  const { log } = parts;
  const accounts = accountsOf(heads).filter((account) => !visit.accounts.has(account));
  for (const account of accounts) visit.accounts.add(account);
  const ledgerGaps = await ledgerGapsIn(parts, accounts);
  const found = await compare(visit, heads, accounts);
  const counts: Counts = {
    ...noCounts(),
    streams: heads.length,
    accounts: accounts.length,
    ledgerGaps,
    ...sizesOf(found),
  };
  const lags = countOf(found);
  if (lags === 0) return counts;

  await notify(visit, 'relay', [...found.missing, ...found.unpublished]);
  await notify(visit, 'projections', [...found.behind.values()].flat());
  // The second comparison includes commits that only now entered the ledger, because they must be published too.
  const again = await compare({ parts, before }, lagging(found), accountsOf([...found.missing, ...found.unpublished]));
  counts.notRepaired = Math.min(lags, countOf(again));
  counts.repaired = lags - counts.notRepaired;
  const { missing, unpublished, behind } = counts;
  const streams = [...new Set([...lagging(found), ...found.unpublished].map(({ stream }) => stream))].slice(
    0,
    maxLogged,
  );
  log.warn('Stream records were lost. The reconcile sent the notifications again.', {
    ...{ missing, unpublished, behind, repaired: counts.repaired, notRepaired: counts.notRepaired, streams },
  });
  log.measure({ MissedNotifications: lags });
  if (counts.notRepaired > 0) {
    const remaining = [...new Set([...lagging(again), ...again.unpublished].map(({ stream }) => stream))].slice(
      0,
      maxLogged,
    );
    log.error('The reconcile could not repair all lags. See the logs of relay and projections.', {
      notRepaired: counts.notRepaired,
      streams: remaining,
    });
  }
  return counts;
}

/** The number of sequence numbers without an entry in the ledgers of these accounts. */
async function ledgerGapsIn({ ledger, log }: ReconcileParts, accounts: string[]): Promise<number> {
  let total = 0;
  for (const { account, head } of await ledger.accounts(accounts)) {
    const numbers = head === 0 ? 0 : await ledger.ledgerGaps(account, head);
    if (numbers > 0)
      log.error('A ledger lacks entries. Restore them from the point-in-time recovery of its table.', {
        account,
        numbers,
        head,
      });
    total += numbers;
  }
  return total;
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
  const newest = new Map<string, number>();
  for (const { stream, version } of lags) newest.set(stream, Math.max(version, newest.get(stream) ?? 0));
  const notifications = [...newest].map(([stream, version]) => ({ stream, version }));
  for (const batch of chunks(notifications, notifyBatch)) {
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
  const newest = new Map([...missing, ...[...behind.values()].flat()].map(({ stream, version }) => [stream, version]));
  return [...newest].map(([stream, version]) => ({ stream, version }));
}

// ── Counts ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

function noCounts(): Counts {
  return {
    streams: 0,
    accounts: 0,
    missing: 0,
    unpublished: 0,
    behind: {},
    repaired: 0,
    notRepaired: 0,
    ledgerGaps: 0,
  };
}

function sizesOf({ missing, unpublished, behind }: Found): Pick<Counts, 'missing' | 'unpublished' | 'behind'> {
  const perProjection = Object.fromEntries([...behind].map(([name, lags]) => [name, lags.length]));
  return { missing: missing.length, unpublished: unpublished.length, behind: perProjection };
}

function countOf(found: Found): number {
  const { missing, unpublished, behind } = sizesOf(found);
  return Object.values(behind).reduce((sum, count) => sum + count, missing + unpublished);
}

function add(a: Counts, b: Counts): Counts {
  const behind = { ...a.behind };
  for (const [name, count] of Object.entries(b.behind)) behind[name] = (behind[name] ?? 0) + count;
  const { streams, accounts, missing, unpublished, repaired, notRepaired, ledgerGaps } = a;
  return {
    streams: streams + b.streams,
    accounts: accounts + b.accounts,
    missing: missing + b.missing,
    unpublished: unpublished + b.unpublished,
    behind,
    repaired: repaired + b.repaired,
    notRepaired: notRepaired + b.notRepaired,
    ledgerGaps: ledgerGaps + b.ledgerGaps,
  };
}
