/** Compares a listing of the source with the last manifest. Both are in key order, so one pass is enough. */
import { compareKeys, type ListItem, type SourceEntry } from '../../domain/entry.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import type { Work } from './work.ts';

export type Comparison = {
  /** Files, links and refused entries. Folders do not count. */
  filesTotal: number;
  filesUnchanged: number;
  /** Bytes to fetch. */
  bytesTotal: number;
};

/**
 * Compares listing pages with the last manifest. The iterator `before` yields its entries after the last compared key.
 * The callback `add` gets the differences. `blind` is the key of the last folder that could not be listed. Nothing is
 * known about the entries below it, so they stay in the backup.
 */
export function makeComparer(
  before: AsyncIterator<ManifestEntry>,
  add: (work: Partial<Work>) => void,
  start: { blind: string | null },
) {
  const count: Comparison = { filesTotal: 0, filesUnchanged: 0, bytesTotal: 0 };
  let blind = start.blind;
  let old: ManifestEntry | undefined;
  let ended = false;

  async function peek(): Promise<ManifestEntry | undefined> {
    if (!old && !ended) {
      const next = await before.next();
      if (next.done) ended = true;
      else old = next.value;
    }
    return old;
  }

  /** Marks entries before the key as deleted, because the listing lacks them. Null: all remaining entries. */
  async function deleteBefore(key: string | null): Promise<void> {
    for (let entry = await peek(); entry && (key === null || compareKeys(entry.key, key) < 0); entry = await peek()) {
      const isUnlisted = blind !== null && entry.key.startsWith(blind);
      if (!entry.deleted && !isUnlisted) add({ deleted: [entry.key] });
      old = undefined;
    }
  }

  async function take(item: ListItem): Promise<void> {
    const key = item.type === 'entry' ? item.entry.key : item.refusal.key;
    await deleteBefore(key);
    const same = (await peek())?.key === key ? old : undefined;
    if (same) old = undefined;
    const isUnchanged = (entry: SourceEntry) =>
      same && !same.deleted && same.revision === entry.revision && same.kind === entry.kind;
    if (item.type !== 'entry') {
      count.filesTotal++;
      if (item.type === 'failed' && item.entry) {
        // An unchanged file need not be read, so it does not matter that it cannot be.
        if (isUnchanged(item.entry)) return void count.filesUnchanged++;
      } else if (item.type === 'failed' && key.endsWith('/')) blind = key;
      // A failed entry may still exist. A skipped entry has become something that is never backed up.
      if (item.type === 'skipped' && same && !same.deleted) add({ deleted: [key] });
      add({ [item.type]: [item.refusal] });
      return;
    }
    const { entry } = item;
    const unchanged = isUnchanged(entry);
    if (entry.kind !== 'folder') {
      count.filesTotal++;
      if (unchanged) count.filesUnchanged++;
    }
    if (unchanged) return;
    count.bytesTotal += entry.size;
    add({ entries: [entry] });
  }

  return {
    count,
    blind: () => blind,
    /** After the last page, the remaining entries of the old manifest count as deleted. */
    async page(items: ListItem[], last: boolean): Promise<void> {
      for (const item of items) await take(item);
      if (last) await deleteBefore(null);
    },
  };
}
