/** Lists a source, compares it with the last manifest, and cuts the differences into batches. Runs in the engine. */
import type { SourceSession } from '../../connectors/connector.ts';
import { type EntryPosition, itemPosition } from '../../domain/entry.ts';
import type { EntryState } from '../../vault/entry.ts';
import type { BatchList } from '../../vault/part.ts';
import { entryStates, openManifest } from '../../vault/reader.ts';
import { type Comparison, makeComparer } from './compare.ts';
import type { EngineWork, PlanCalls, PlanRequest, PlanStep } from './engine.ts';
import { type ListPosition, listInOrder, listingStart } from './list-in-order.ts';
import { rejectEmptyReplacement, requireConnector, requireSameSource, requireSettings } from './open-source.ts';
import type { Origin } from './source-access.ts';
import { decryptList, emptyList, encryptList, lengthOf, makeCutter, type Saved, workFolder } from './work.ts';

/** What the plan saves besides the batch that is not full yet. */
export type PlanPosition = {
  listing: ListPosition;
  /** The position of the last compared item. */
  last: EntryPosition | null;
  blind: string | null;
  /** The counts so far. */
  count: Comparison;
  origin: Origin;
};

/** Batches of a step. The first steps have fewer, so that other workers can start. */
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
    await listWith(work, request, calls, session, saved ?? { rest: emptyList(), position: undefined }, origin);
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
  const blind = saved.position?.blind ?? null;
  let last = saved.position?.last ?? null;
  const before = baseStates(work, request, last);
  const comparer = makeComparer(before, cutter.add, { blind });
  const total = (field: keyof Comparison) => (saved.position?.count[field] ?? 0) + comparer.count[field];
  const tools = { blobs, keys, folder: workFolder(runRef), random, page: limits.page, sortItems: limits.sortItems };
  let batches = request.batches;
  let pages = 0;
  let pieces = start.pieces.length;
  const { order } = requireConnector(source.type);
  for await (const page of listInOrder(session, order, request.base ? (head?.since ?? null) : null, start, tools)) {
    const isEmpty = page.done && page.items.length === 0 && start === listingStart && pages === 0;
    if (isEmpty) rejectEmptyReplacement(head, origin);
    await comparer.page(page.items, page.done);
    const lastItem = page.items.at(-1);
    if (lastItem) last = itemPosition(lastItem);
    await work.proceed();
    pages++;
    const isDue =
      cutter.count() >= Math.min(batchesPerStep, batches + 1) ||
      pages % limits.pagesPerStep === 0 ||
      page.position.pieces.length > pieces;
    if (!isDue && !page.done) continue;
    pieces = page.position.pieces.length;
    const full = cutter.cut();
    if (page.done && lengthOf(cutter.rest) > 0) full.push(cutter.rest);
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
    };
    const position: PlanPosition = { listing: page.position, last, blind: comparer.blind(), count, origin };
    const rest = page.done ? emptyList() : cutter.rest;
    const step: PlanStep = {
      batches: newBatches,
      position: encryptList(context, `position-${batches}-${attempt}`, rest, position),
      count,
      since: page.position.since,
      sourceIdentity: origin.sourceIdentity,
      hasPieces: pieces > 0,
      done: page.done,
    };
    if (!(await calls.advance(step)) || page.done) return;
  }
}

async function* baseStates(
  { blobs }: EngineWork,
  { runRef, keys, base, lost }: PlanRequest,
  after: EntryPosition | null,
): AsyncGenerator<EntryState[]> {
  if (!base) return;
  const context = { account: runRef.account, keys, blobs };
  yield* entryStates(context, await openManifest(context, base), after, new Set(lost));
}

function decryptPosition({ runRef, keys }: PlanRequest, saved: Saved): { rest: BatchList; position: PlanPosition } {
  const { list, more } = decryptList<PlanPosition>({ ...runRef, keys }, saved);
  return { rest: list, position: more };
}
