/** What a listing means against the last manifest: both are in key order, so one walk over the two tells. */
import { compareKeys, type ListItem, type SourceEntry } from '../../domain/entry.ts';
import type { ManifestEntry } from '../../vault/entry.ts';
import type { Work } from './work.ts';

export type Comparison = {
  /** Files and links seen (and whatever could not be), those that are as they were, bytes to fetch. */
  filesTotal: number;
  filesUnchanged: number;
  bytesTotal: number;
};

/**
 * Compares listing pages with what was there before. `before` yields the last manifest's entries after `resumeAfter`. Below a folder
 * that could not be listed nothing is known, so what was there stays: `blind` is that folder's key, kept between pages.
 */
export function makeComparer(
  before: AsyncIterator<ManifestEntry>,
  add: (what: Partial<Work>) => void,
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

  /** What was there and is listed no more, up to (not including) the key; all the rest without one. */
  async function goneBefore(key: string | null): Promise<void> {
    for (let entry = await peek(); entry && (key === null || compareKeys(entry.key, key) < 0); entry = await peek()) {
      const unseen = blind !== null && entry.key.startsWith(blind);
      if (!entry.deleted && !unseen) add({ deleted: [entry.key] });
      old = undefined;
    }
  }

  async function take(item: ListItem): Promise<void> {
    const key = item.type === 'entry' ? item.entry.key : item.refusal.key;
    await goneBefore(key);
    const same = (await peek())?.key === key ? old : undefined;
    if (same) old = undefined;
    const asBefore = (entry: SourceEntry) =>
      same && !same.deleted && same.revision === entry.revision && same.kind === entry.kind;
    if (item.type !== 'entry') {
      count.filesTotal++;
      if (item.type === 'failed' && item.entry) {
        // It cannot be read, and need not be.
        if (asBefore(item.entry)) return void count.filesUnchanged++;
      } else if (item.type === 'failed' && key.endsWith('/')) blind = key;
      // What failed may be there still, what is skipped has become something else.
      if (item.type === 'skipped' && same && !same.deleted) add({ deleted: [key] });
      add({ [item.type]: [item.refusal] });
      return;
    }
    const { entry } = item;
    const unchanged = asBefore(entry);
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
    /** The last page ends the walk: what is left of the old manifest is gone. */
    async page(items: ListItem[], last: boolean): Promise<void> {
      for (const item of items) await take(item);
      if (last) await goneBefore(null);
    },
  };
}
