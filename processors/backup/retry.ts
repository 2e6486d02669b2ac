/**
 * A retry looks up the entries that failed, instead of listing the source. All others stay as in the newest restore
 * point.
 */
import { concernsSource, SourceProblem, type SourceSession } from '../../connectors/connector.ts';
import { compareEntries, parentOf, positionOf, type Refusal } from '../../domain/entry.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { findEntry, openManifest, type ReaderContext } from '../../vault/reader.ts';
import type { ManifestRoot } from '../../vault/root.ts';
import { type FailedEntries, getFailed } from '../../vault/run-errors.ts';
import { isSameEntry } from './compare.ts';
import { type PathChange, reset } from './delta.ts';
import type { PlanRequest } from './engine.ts';
import { type ChangePage, type ListPosition, listingStart } from './list-in-order.ts';
import type { Origin } from './source-access.ts';

/** With more failed entries than this, a listing takes fewer requests. */
export const maxRetried = 10_000;

/** Entries between two positions at which the plan can go on. */
const pageLength = 100;

type Failed = { key: string; id?: string };

/** What a retry of the run needs. Entries below a folder are known only by a listing. */
export function failedEntriesOf(again: Refusal[], settings: string): FailedEntries {
  const isKnown =
    again.length <= maxRetried && again.every(({ key, code }) => !key.endsWith('/') && code !== 'same-path');
  const entries = again.map(({ key, id }) => ({ key, ...(id !== undefined && { id }) }));
  return { settings, entries: isKnown ? entries : null };
}

/**
 * The entries that failed in the retried run or in the newest restore point, in order. Null: the source must be listed.
 * The newest run must know its failed entries, because only then do they have the settings of the source.
 */
export async function findRetried(
  vault: ReaderContext,
  { retryOf, head, base, isFull, lost }: PlanRequest,
  { settings, sourceIdentity }: Origin,
): Promise<{ failed: Failed[]; base: ManifestRoot } | null> {
  if (!retryOf || !head || !base || isFull || lost.length > 0) return null;
  if ((head.sourceIdentity ?? null) !== sourceIdentity) return null;
  const failed = new Map<string, Failed>();
  for (const runId of new Set([head.runId, retryOf])) {
    const list = await getFailed(vault, runId).catch((error) => {
      if (!(error instanceof VaultDamage)) throw error;
    });
    if (!list?.entries || list.settings !== settings) return null;
    for (const entry of list.entries) failed.set(entry.key, entry);
  }
  const sorted = [...failed.values()].sort((a, b) => compareEntries(a.key, b.key));
  return { failed: sorted, base: await openManifest(vault, base) };
}

type Retried = { failed: Failed[]; base: ManifestRoot; proceed(): void | Promise<void> };

/** Looks up the failed entries after the position. @throws SourceProblem `reset` when everything has to be listed */
export async function* lookAgain(
  session: Pick<SourceSession, 'look'>,
  vault: ReaderContext,
  { failed, base, proceed }: Retried,
  start: ListPosition,
): AsyncGenerator<ChangePage> {
  const { after } = start;
  const left = after ? failed.filter(({ key }) => compareEntries(key, after.key) > 0) : failed;
  for (let from = 0; ; from += pageLength) {
    const some = left.slice(from, from + pageLength);
    const changes: PathChange[] = [];
    for (const at of some) {
      await proceed();
      const change = await changeAt(session, vault, base, at);
      if (change) changes.push(change);
    }
    const last = some.at(-1);
    const position = { ...listingStart, isListed: true, isDelta: true, after: last ? positionOf(last.key) : after };
    const done = from + pageLength >= left.length;
    yield { changes, done, position };
    if (done) return;
  }
}

async function changeAt(
  session: Pick<SourceSession, 'look'>,
  vault: ReaderContext,
  base: ManifestRoot,
  at: Failed,
): Promise<PathChange | undefined> {
  const { key } = at;
  const old = await findLive(vault, base, key);
  const was = old !== undefined && old.kind !== 'folder';
  const now = await lookUp(session, at);
  if (now && 'refusal' in now) return { key, was, refused: { as: 'failed', refusal: now.refusal } };
  if (!now) return old && { key, was, isDeleted: true };
  if (isSameEntry(now, old)) return undefined;
  const parent = parentOf(key);
  if (parent !== '' && !(await findLive(vault, base, parent))) throw reset('a folder is new');
  if (await findLive(vault, base, `${key}/`)) throw reset('a file replaced a folder');
  return { key, was, put: now };
}

async function lookUp(session: Pick<SourceSession, 'look'>, at: Failed) {
  try {
    return await session.look(at);
  } catch (error) {
    if (!(error instanceof SourceProblem) || concernsSource(error)) throw error;
    return { refusal: { ...at, code: error.code, message: error.message } };
  }
}

async function findLive(vault: ReaderContext, base: ManifestRoot, key: string) {
  const entry = await findEntry(vault, base, key);
  return entry && !entry.deleted ? entry : undefined;
}
