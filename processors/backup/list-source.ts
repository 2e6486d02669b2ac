/** Lists a source, compares it with the last manifest, and cuts the differences into batches. Runs in the engine. */
import { hash } from 'node:crypto';
import type { SourceSession } from '../../connectors/connector.ts';
import type { ManifestRef } from '../../domain/backup-chain.ts';
import type { EntryPosition } from '../../domain/entry.ts';
import { VaultDamage } from '../../vault/damage.ts';
import type { EntryState } from '../../vault/entry.ts';
import type { BatchList } from '../../vault/part.ts';
import { entryStates, openManifest, type ReaderContext } from '../../vault/reader.ts';
import { applyChanges, type Comparison, makeComparer } from './compare.ts';
import { type DeltaBase, reset } from './delta.ts';
import type { EngineWork, PlanCalls, PlanRequest, PlanStep } from './engine.ts';
import {
  type ChangePage,
  type ItemPage,
  type ListPosition,
  listChanges,
  listInOrder,
  listingStart,
} from './list-in-order.ts';
import { rejectEmptyReplacement, requireConnector, requireSameSource, requireSettings } from './open-source.ts';
import { findRetried, lookAgain } from './retry.ts';
import { DamagedPiece } from './sorter.ts';
import type { Origin } from './source-access.ts';
import { decryptList, emptyList, encryptList, lengthOf, makeCutter, type Saved, workFolder } from './work.ts';

/** The state of a plan. It is saved with the batch that is not full yet. */
export type PlanPosition = {
  listing: ListPosition;
  /** The rest of a page that was too much for one step. */
  left: ItemPage | ChangePage | null;
  /** The cursor that the listing began with. */
  since: string | null;
  /** A hash of the lost packs when the listing began. */
  lost: string;
  /** The position of the last compared item or old entry. */
  last: EntryPosition | null;
  unlisted: string | null;
  /** The counts so far. */
  count: Comparison;
  origin: Origin;
};

/**
 * Full batches of a step. The first steps have fewer, so that other workers can start. A step is limited because its
 * batches are in memory and in one record, even where a page, or a gap between two items, fills thousands.
 */
const batchesPerStep = 8;

/** @throws SourceProblem, and VaultDamage when the base cannot be read */
export async function listSource(work: EngineWork, request: PlanRequest, calls: PlanCalls): Promise<void> {
  const { runRef, source } = request;
  const saved = request.position ? decryptPosition(request, request.position) : undefined;
  if (saved) requireSettings(source.settings, saved.position.origin);
  await work.withSession(runRef.runId, source, async (session) => {
    if (saved) await requireSameSource(session, saved.position.origin);
    const sourceIdentity = (await session.identity?.()) ?? null;
    const origin = saved?.position.origin ?? { settings: source.settings, sourceIdentity };
    await listWith(work, request, calls, session, saved ?? { rest: emptyList(), position: undefined }, origin).catch(
      (error) => {
        throw error instanceof DamagedPiece ? reset(error.message) : error;
      },
    );
  });
}

async function listWith(
  work: EngineWork,
  request: PlanRequest,
  calls: PlanCalls,
  session: SourceSession,
  saved: { rest: BatchList; position: PlanPosition | undefined },
  origin: Origin,
): Promise<void> {
  const { runRef, keys, head, limits, source } = request;
  const { blobs, random } = work;
  const start = saved.position?.listing ?? listingStart;
  const cutter = makeCutter(limits, saved.rest);
  const { unlisted = null, last = null, left: begun = null } = saved.position ?? {};
  const vault = { account: runRef.account, keys, blobs };
  const isFull = () => cutter.count() >= batchesPerStep;
  const comparer = makeComparer(baseStates(vault, request, last, work.proceed), cutter.add, { unlisted, last, isFull });
  const lost = saved.position?.lost ?? lostHash(request);
  const since = saved.position ? saved.position.since : usableCursor(request, origin, work.now());
  const total = (field: keyof Comparison) => (saved.position?.count[field] ?? 0) + comparer.count[field];
  const tools = { blobs, keys, folder: workFolder(runRef), random, page: limits.page, sortItems: limits.sortItems };
  let batches = request.batches;
  let pages = 0;
  let pieces = start.pieces.length;
  const { order } = requireConnector(source.type);
  // Only a retry has changes without a cursor.
  const mayRetry = since === null && (!saved.position || start.isDelta);
  const retried = mayRetry ? await findRetried(vault, request, origin) : null;
  if (start.isDelta && since === null && !retried) throw reset('the failed entries are gone');
  const listed = retried
    ? lookAgain(session, vault, { ...retried, proceed: work.proceed }, start)
    : since === null
      ? listInOrder(session, order, start, tools)
      : listChanges(session, since, await openDeltaBase(vault, request, work.proceed), start, tools);

  /** What is left of the page when the step is full, otherwise null. */
  async function compare(page: ItemPage | ChangePage): Promise<typeof page | null> {
    if ('items' in page) {
      const items = await comparer.page(page.items, page.done);
      return items && { ...page, items };
    }
    for (const [i, change] of page.changes.entries()) {
      if (isFull()) return { ...page, changes: page.changes.slice(i) };
      applyChanges([change], cutter.add, comparer.count);
    }
    return null;
  }
  async function* inSteps(page: ItemPage | ChangePage) {
    for (let left: typeof page | null = page; left; ) {
      left = await compare(left);
      yield { page, left };
    }
  }
  async function* steps() {
    if (begun) yield* inSteps(begun);
    if (!begun?.done) for await (const page of listed) yield* inSteps(page);
  }

  if (head && (retried || since !== null) && !start.isDelta) comparer.startFrom(head.totals);
  for await (const { page, left } of steps()) {
    if (start === listingStart && pages === 0 && page.done && 'items' in page && page.items.length === 0)
      rejectEmptyReplacement(head, origin);
    await work.proceed();
    pages++;
    const isDue =
      cutter.count() >= Math.min(batchesPerStep, batches + 1) ||
      pages % limits.pagesPerStep === 0 ||
      page.position.pieces.length > pieces;
    const done = page.done && left === null;
    if (!isDue && !done) continue;
    pieces = page.position.pieces.length;
    const full = cutter.cut();
    if (done && lengthOf(cutter.rest) > 0) full.push(cutter.rest);
    const attempt = Buffer.from(random(8)).toString('hex');
    const context = { ...runRef, keys };
    const newBatches = full.map((list, i) => {
      const batch = batches + i + 1;
      return { batch, ...encryptList(context, `work-${batch}-${attempt}`, list, origin) };
    });
    batches += full.length;
    const count = {
      filesTotal: total('filesTotal'),
      filesUnchanged: total('filesUnchanged'),
      bytesTotal: total('bytesTotal'),
      filesLost: total('filesLost'),
    };
    const compared = { last: comparer.last(), unlisted: comparer.unlisted(), count };
    const position: PlanPosition = { listing: page.position, left, since, lost, origin, ...compared };
    const isWhole = page.position.since !== null && comparer.unlisted() === null;
    const rest = done ? emptyList() : cutter.rest;
    const step: PlanStep = {
      batches: newBatches,
      position: encryptList(context, `position-${batches}-${attempt}`, rest, position),
      count,
      since: isWhole ? keptCursor(request, origin, lost, page.position, work.now()) : null,
      sourceIdentity: origin.sourceIdentity,
      settings: origin.settings,
      hasPieces: pieces > 0,
      done,
    };
    if (!(await calls.advance(step)) || done) return;
  }
}

/** A cursor as a restore point keeps it, with all that it depends on. */
type KeptCursor = {
  cursor: string;
  settings: string;
  /** A hash of the lost packs that the full listing knew of. Files in them were read again. */
  lost: string;
  /** The time of the last full listing. */
  listedAt: number;
};

/** A full listing finds changes that earlier deltas have missed. */
const longestDeltasMs = 30 * 24 * 3600_000;

function lostHash({ lost }: PlanRequest): string {
  return hash('sha256', [...lost].sort().join(' '));
}

function kept({ head }: PlanRequest): KeptCursor | undefined {
  return head?.since ? (JSON.parse(head.since) as KeptCursor) : undefined;
}

/** The cursor to list changes from. Null: list everything. */
function usableCursor(request: PlanRequest, origin: Origin, now: number): string | null {
  const last = kept(request);
  const isUsable =
    last !== undefined &&
    !request.isFull &&
    request.base !== null &&
    request.idIndex !== null &&
    last.settings === origin.settings &&
    last.lost === lostHash(request) &&
    request.head?.sourceIdentity === (origin.sourceIdentity ?? undefined) &&
    Math.abs(now - last.listedAt) < longestDeltasMs;
  return isUsable ? last.cursor : null;
}

function keptCursor(
  request: PlanRequest,
  { settings }: Origin,
  lost: string,
  { since, isDelta }: ListPosition,
  now: number,
): string {
  const listedAt = isDelta ? (kept(request)?.listedAt ?? 0) : now;
  const cursor: KeptCursor = { cursor: since ?? '', settings, lost, listedAt };
  return JSON.stringify(cursor);
}

async function openDeltaBase(
  context: ReaderContext,
  { base, idIndex }: PlanRequest,
  proceed: DeltaBase['proceed'],
): Promise<DeltaBase> {
  const index = await openManifest(context, idIndex as ManifestRef).catch((error) => {
    if (error instanceof VaultDamage) throw reset('the id index is damaged');
    throw error;
  });
  return { context, base: await openManifest(context, base as ManifestRef), index, proceed };
}

async function* baseStates(
  context: ReaderContext,
  { base, lost }: PlanRequest,
  after: EntryPosition | null,
  proceed: DeltaBase['proceed'],
): AsyncGenerator<EntryState[]> {
  if (!base) return;
  for await (const states of entryStates(context, await openManifest(context, base), after, new Set(lost))) {
    // Millions of old entries may come between two items.
    await proceed();
    yield states;
  }
}

/** @throws SourceProblem `reset` if it is damaged */
function decryptPosition({ runRef, keys }: PlanRequest, saved: Saved): { rest: BatchList; position: PlanPosition } {
  try {
    const { list, more } = decryptList<PlanPosition>({ ...runRef, keys }, saved);
    return { rest: list, position: more };
  } catch (error) {
    throw error instanceof VaultDamage ? reset('the position of the plan is damaged') : error;
  }
}
