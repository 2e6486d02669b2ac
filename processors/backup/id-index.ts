/**
 * The id index of a backup chain: the path of each id of its newest manifest, and the entries that failed. It is a
 * manifest itself. See adr/deltas.md.
 */
import type { ManifestRef } from '../../domain/backup-chain.ts';
import { compareEntries, type Refusal } from '../../domain/entry.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { differences } from '../../vault/difference.ts';
import { type Change, type NewManifest, writeManifest } from '../../vault/manifest.ts';
import { below, entries, findEntry, openManifest, type ReaderContext } from '../../vault/reader.ts';
import type { ManifestRoot } from '../../vault/root.ts';
import { type SortTools, sortAll } from './sorter.ts';

/** The folders of the index. An entry has an id in its key, and the path in its target. */
const ids = 'ids/';
const failures = 'failed/';

/** With more failed entries than this, the next run lists everything. */
export const maxFailed = 1000;

/** The paths of the wanted ids. Ids that the index does not have are left out. */
export async function pathsOfIds(
  context: ReaderContext,
  index: ManifestRoot,
  wanted: string[],
): Promise<Map<string, string>> {
  const paths = new Map<string, string>();
  for (const id of wanted.sort((a, b) => compareEntries(ids + a, ids + b))) {
    const path = (await findEntry(context, index, ids + id))?.target;
    if (path !== undefined) paths.set(id, path);
  }
  return paths;
}

/** All ids, with their paths. */
export async function* pathsOfAll(context: ReaderContext, index: ManifestRoot): AsyncGenerator<[string, string]> {
  for await (const { key, target = '' } of entries(context, index, below(ids))) yield [key.slice(ids.length), target];
}

/** The entries that failed in the last run. */
export async function failedBefore(
  context: ReaderContext,
  index: ManifestRoot,
): Promise<{ key: string; id: string }[]> {
  const failed: { key: string; id: string }[] = [];
  for await (const { key, target = '' } of entries(context, index, below(failures)))
    failed.push({ key: target, id: key.slice(failures.length) });
  return failed;
}

/** `proceed` is called often. It may throw to stop. */
type IndexTools = SortTools & { proceed(): void | Promise<void> };
type IndexChange = { key: string; target: string | null };
export type WrittenIndex = { index: ManifestRef; bytesStored: number; isUnique: boolean };

/**
 * Makes the index of the manifest `now` from the index of `before`. If that is missing or damaged, it reads all of
 * `now`. `isUnique` is false if an id has two paths.
 */
export async function writeIdIndex(
  options: Pick<NewManifest, 'account' | 'keys' | 'blobs' | 'random' | 'runId' | 'at' | 'note'>,
  last: { index: ManifestRef; manifest: ManifestRoot } | undefined,
  now: ManifestRoot,
  failed: Refusal[],
  tools: IndexTools,
): Promise<WrittenIndex> {
  const base = last && (await openManifest(options, last.index).catch(ifDamaged));
  try {
    return await write(options, base, base && last?.manifest, now, failed, tools);
  } catch (error) {
    if (!base) throw error;
    ifDamaged(error);
    return write(options, undefined, undefined, now, failed, tools);
  }
}

function ifDamaged(error: unknown): undefined {
  if (!(error instanceof VaultDamage)) throw error;
}

async function write(
  options: Parameters<typeof writeIdIndex>[0],
  base: ManifestRoot | undefined,
  before: ManifestRoot | undefined,
  now: ManifestRoot,
  failed: Refusal[],
  tools: IndexTools,
): Promise<WrittenIndex> {
  let isUnique = true;

  async function* differing(): AsyncGenerator<IndexChange[]> {
    if (base) for (const { id } of await failedBefore(options, base)) yield [{ key: failures + id, target: null }];
    yield failed.map(({ key, id = '' }) => ({ key: failures + id, target: key }));
    for await (const { before: old, now: entry } of differences(options, before, now)) {
      await tools.proceed();
      if (old?.id !== undefined && !old.deleted) yield [{ key: ids + old.id, target: null }];
      if (entry?.id !== undefined && !entry.deleted) yield [{ key: ids + entry.id, target: entry.key }];
    }
  }

  /** Each id once. A new path of an id comes after the old one, and counts. */
  async function* merged(): AsyncGenerator<IndexChange> {
    const order = (a: IndexChange, b: IndexChange) =>
      compareEntries(a.key, b.key) || Number(a.target !== null) - Number(b.target !== null);
    let last: IndexChange | undefined;
    for await (const sorted of sortAll(differing(), order, tools)) {
      for (const change of sorted) {
        if (last && last.key !== change.key) yield last;
        const other = last?.key === change.key ? last : await unchanged(change);
        if (other && other.target !== null && other.target !== change.target) isUnique = false;
        last = change;
      }
    }
    if (last) yield last;
  }

  /** The path in the base of an id that has a new path, but no old path that is gone. */
  async function unchanged({ key, target }: IndexChange): Promise<IndexChange | undefined> {
    const entry = base && target !== null ? await findEntry(options, base, key) : undefined;
    return entry && { key, target: entry.target ?? null };
  }

  async function* changes(): AsyncGenerator<Change[]> {
    const fields = { kind: 'file', size: 0, modifiedAt: null, revision: '', runId: '', at: '' } as const;
    for await (const { key, target } of merged())
      yield [target === null ? { delete: key } : { put: { ...fields, key, target } }];
  }

  const written = await writeManifest({ ...options, ...(base && { base }), changes: changes(), isIndex: true });
  return { index: written.manifest, bytesStored: written.bytesStored, isUnique };
}
