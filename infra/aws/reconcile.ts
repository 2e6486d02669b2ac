/**
 * Compares the activity with what was made of it: is each commit in the ledger, was the bus told, do the read models know it, and has the
 * ledger every number? A stream record that never came is the only thing that can make it differ for long, so what lags is mended by waking
 * the relay and the projections again, as that record would have: this writes nothing but how far it has come.
 *
 * It walks over all streams in shares side by side, a page of each at a time, and after each round puts on record where it is. Whoever comes
 * next goes on there; of several at once all but one give way at their next record.
 */
import { type Lag, lagsOf } from '../../activity/lag.ts';
import { parseStream } from '../../domain/event.ts';
import type { Platform, StreamNotification } from '../../domain/ports.ts';
import { projectionLags } from '../../projections/engine/lag.ts';
import type { Projection } from '../../projections/engine/projection.ts';
import { chunks } from './dynamo.ts';
import type { StreamShares } from './event-store.ts';
import type { LedgerProgress } from './ledger-progress.ts';

/** Who is woken: the one that writes ledger and bus, or the one that writes the read models. */
export type Follower = 'relay' | 'projections';

export type ReconcileParts = Pick<Platform, 'events' | 'rows' | 'records' | 'now' | 'log'> & {
  streamShares: StreamShares;
  ledger: LedgerProgress;
  projections: Projection[];
  /** Resolves when it has done what it can about them. */
  wake(follower: Follower, notifications: StreamNotification[]): Promise<void>;
};

export type Counts = {
  /** Streams looked at; one that lies across pages counts in each. */
  streams: number;
  /** Accounts whose ledger was looked at; again by each visit that goes on with the walk. */
  accounts: number;
  /** Streams with commits that were not in the ledger. */
  missing: number;
  /** Accounts whose ledger went further than what the bus was told. */
  untold: number;
  /** Streams that a read model was behind at, by projection. */
  behind: { [projection: string]: number };
  /** How many of all these were mended, and how many were not. */
  repaired: number;
  left: number;
  /** Numbers that ledgers lack. Nothing here mends that. */
  lacking: number;
};

/** `stopped`: there is more, for the next visit. `superseded`: another is at it. `not-due`: this night's is done. */
export type Reconciled = { outcome: 'done' | 'stopped' | 'superseded' | 'not-due'; counts: Counts };

export type ReconcileOptions = {
  /** Begins no new walk when the last one began less than half a day ago. */
  nightly?: boolean;
  /** Asked between rounds. */
  stop?: () => boolean;
  /** How old a commit is before it should have been seen everywhere. */
  graceMilliseconds?: number;
};

/** As kept: `shares` are where the walk is in each, null at its end. */
type Walk = { revision: number; began: number; shares: (SharePosition | null)[]; counts: Counts };
type SharePosition = { cursor: string | null };

const key = { pk: 'reconcile', sk: 'walk' };
const shareCount = 4;
/** Of all shares together no more than what cursors can be asked of at once. */
const pageSize = 250;
/** As many as a batch of stream records has. */
const wakeSize = 100;
const halfDay = 12 * 60 * 60_000;
const tenMinutes = 10 * 60_000;
const shown = 20;

/** Harmless at any time, as often as one likes. Throws when the machine fails; the next visit goes on. */
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
    const fresh = await save(parts, walk, { began: now(), shares, counts: nothing() });
    if (!fresh) return { outcome: 'superseded', counts: nothing() };
    walk = fresh;
  }
  while (!isDone(walk)) {
    if (stop()) return { outcome: 'stopped', counts: walk.counts };
    visit.before = new Date(now() - graceMilliseconds).toISOString();
    const { heads, shares } = await nextPages(parts, walk.shares);
    const counts = sum(walk.counts, await compareAndMend(visit, heads));
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

/** Undefined when somebody else was quicker. */
async function save(
  { records }: ReconcileParts,
  before: Walk | undefined,
  walk: Omit<Walk, 'revision'>,
): Promise<Walk | undefined> {
  const data: Walk = { ...walk, revision: (before?.revision ?? 0) + 1 };
  const unchanged = before ? { equals: { revision: before.revision } } : 'absent';
  return (await records.write([{ op: 'put', ...key, data, if: unchanged }])) ? data : undefined;
}

/** A page of each share that has more, and where to go on. */
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

/** What one visit remembers. */
type Visit = {
  parts: ReconcileParts;
  /** Whose ledgers it has looked at. */
  accounts: Set<string>;
  /** Who failed when woken: the machine is at fault, and asking again and again would only take the time of the walk. */
  failing: Set<Follower>;
  /** What was made since may still be under way. */
  before: string;
};

type Found = { missing: Lag[]; untold: StreamNotification[]; behind: Map<Projection['name'], Lag[]> };

async function compareAndMend(visit: Visit, heads: StreamNotification[]): Promise<Counts> {
  const { parts, before } = visit;
  const { log } = parts;
  const accounts = accountsOf(heads).filter((account) => !visit.accounts.has(account));
  for (const account of accounts) visit.accounts.add(account);
  const lacking = await lackingIn(parts, accounts);
  const found = await compare(visit, heads, accounts);
  const counts: Counts = {
    ...nothing(),
    streams: heads.length,
    accounts: accounts.length,
    lacking,
    ...numbersOf(found),
  };
  const all = sizeOf(found);
  if (all === 0) return counts;

  await wake(visit, 'relay', [...found.missing, ...found.untold]);
  await wake(visit, 'projections', [...found.behind.values()].flat());
  // What has only now come into the ledger is to be told too.
  const again = await compare({ parts, before }, lagging(found), accountsOf([...found.missing, ...found.untold]));
  counts.left = Math.min(all, sizeOf(again));
  counts.repaired = all - counts.left;
  const { missing, untold, behind } = counts;
  const streams = [...new Set([...lagging(found), ...found.untold].map(({ stream }) => stream))].slice(0, shown);
  log.warn('stream records never came: what they tell of was done now', {
    ...{ missing, untold, behind, repaired: counts.repaired, left: counts.left, streams },
  });
  log.measure({ Unwoken: all });
  if (counts.left > 0) {
    const still = [...new Set([...lagging(again), ...again.untold].map(({ stream }) => stream))].slice(0, shown);
    log.error('the reconcile could not mend all that lags', { left: counts.left, streams: still });
  }
  return counts;
}

/** How many numbers the ledgers of these accounts lack. */
async function lackingIn({ ledger, log }: ReconcileParts, accounts: string[]): Promise<number> {
  let total = 0;
  for (const { account, head } of await ledger.accounts(accounts)) {
    const numbers = head === 0 ? 0 : await ledger.lacking(account, head);
    if (numbers > 0) log.error('a ledger lacks numbers: entries were taken away', { account, numbers, head });
    total += numbers;
  }
  return total;
}

/** How far each has come is read after the heads were, so that what is under way cannot pass for a lag. */
async function compare(
  { parts, before }: Pick<Visit, 'parts' | 'before'>,
  heads: StreamNotification[],
  accounts: string[],
): Promise<Found> {
  const [missing, untold, behind] = await Promise.all([
    parts.ledger.reached(heads.map(({ stream }) => stream)).then((reached) => lagsOf(parts, heads, reached, before)),
    untoldOf(parts, accounts, before),
    projectionLags(parts, parts.projections, heads, before),
  ]);
  return { missing, untold, behind };
}

/** The first commit in an account's ledger that the bus was not told of, of each account where that is too long ago. */
async function untoldOf(
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

async function wake({ parts, failing }: Visit, follower: Follower, lags: StreamNotification[]): Promise<void> {
  const newest = new Map<string, number>();
  for (const { stream, version } of lags) newest.set(stream, Math.max(version, newest.get(stream) ?? 0));
  const notifications = [...newest].map(([stream, version]) => ({ stream, version }));
  for (const some of chunks(notifications, wakeSize)) {
    if (failing.has(follower)) return;
    try {
      await parts.wake(follower, some);
    } catch (error) {
      failing.add(follower);
      parts.log.error('the reconcile could not wake a follower; its next visit tries again', { follower }, error);
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

function nothing(): Counts {
  return { streams: 0, accounts: 0, missing: 0, untold: 0, behind: {}, repaired: 0, left: 0, lacking: 0 };
}

function numbersOf({ missing, untold, behind }: Found): Pick<Counts, 'missing' | 'untold' | 'behind'> {
  const perProjection = Object.fromEntries([...behind].map(([name, lags]) => [name, lags.length]));
  return { missing: missing.length, untold: untold.length, behind: perProjection };
}

function sizeOf(found: Found): number {
  const { missing, untold, behind } = numbersOf(found);
  return Object.values(behind).reduce((all, each) => all + each, missing + untold);
}

function sum(a: Counts, b: Counts): Counts {
  const behind = { ...a.behind };
  for (const [name, number] of Object.entries(b.behind)) behind[name] = (behind[name] ?? 0) + number;
  const { streams, accounts, missing, untold, repaired, left, lacking } = a;
  return {
    streams: streams + b.streams,
    accounts: accounts + b.accounts,
    missing: missing + b.missing,
    untold: untold + b.untold,
    behind,
    repaired: repaired + b.repaired,
    left: left + b.left,
    lacking: lacking + b.lacking,
  };
}
