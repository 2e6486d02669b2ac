/** Compares a listing of the source with the last manifest. Both are in the order of entries, so one pass is enough. */
import type { Totals } from '../../domain/backup-chain.ts';
import {
  compareEntries,
  comparePositions,
  itemPosition,
  keyOf,
  type ListItem,
  positionOf,
  type SourceEntry,
  standInEntry,
} from '../../domain/entry.ts';
import type { EntryState } from '../../vault/entry.ts';
import type { BatchList } from '../../vault/part.ts';
import { peekable } from '../../vault/peekable.ts';
import { lostRevision } from '../../vault/reader.ts';
import type { PathChange } from './delta.ts';

export type Comparison = {
  /** Files, links and refused entries. Folders do not count. */
  filesTotal: number;
  filesUnchanged: number;
  /** Bytes to fetch. */
  bytesTotal: number;
  /** Files to read again because their content is lost. */
  filesLost: number;
};

/**
 * Compares listing pages with the last manifest. `before` yields its entries after the last compared item. The callback
 * `add` gets the differences. `unlisted` is the last folder whose entries could not be listed. Nothing is known about
 * the entries below it, so they stay in the backup.
 */
export function makeComparer(
  before: AsyncIterable<EntryState[]>,
  add: (work: Partial<BatchList>) => void,
  unlisted: string | null,
) {
  const count: Comparison = { filesTotal: 0, filesUnchanged: 0, bytesTotal: 0, filesLost: 0 };
  const base = peekable(before);

  function drop(entry: EntryState): void {
    const isUnlisted = unlisted !== null && entry.key.startsWith(unlisted);
    if (!entry.deleted && !isUnlisted) add({ deleted: [entry.key] });
    base.take();
  }

  /**
   * The old entry of the item's key, after the entries before it, which the listing lacks, are marked as deleted. A
   * promise only when entries must be loaded, because a promise for each item is slow. Call it again then.
   */
  function oldEntryOf(item: ListItem): EntryState | undefined | Promise<unknown> {
    const key = keyOf(item);
    for (;;) {
      const old = base.peek();
      if (!old || old instanceof Promise) return old;
      if (item.type === 'unlisted') {
        if (comparePositions(positionOf(old.key), itemPosition(item)) >= 0) return undefined;
      } else {
        const order = old.key === key ? 0 : compareEntries(old.key, key);
        if (order > 0) return undefined;
        if (order === 0) {
          base.take();
          return old;
        }
      }
      drop(old);
    }
  }

  function take(item: ListItem, same: EntryState | undefined) {
    const isUnchanged = (entry: SourceEntry) =>
      same &&
      !same.deleted &&
      same.revision === entry.revision &&
      same.kind === entry.kind &&
      same.id === entry.id &&
      same.implied === entry.implied;
    if (item.type !== 'entry') {
      const { refusal } = item;
      if (item.type === 'failed' && !item.entry && refusal.key.endsWith('/')) return;
      count.filesTotal++;
      if (item.type === 'unlisted') {
        unlisted = refusal.key;
        return add({ failed: [refusal] });
      }
      // An unchanged file need not be read, so it does not matter that it cannot be.
      if (item.type === 'failed' && item.entry && isUnchanged(item.entry)) return void count.filesUnchanged++;
      // A failed entry may still exist. A skipped entry has become something that is never backed up.
      if (item.type === 'skipped' && same && !same.deleted) add({ deleted: [refusal.key] });
      const standIn = item.type === 'failed' && refusal.key.endsWith('/') ? [standInEntry(refusal.key)] : [];
      return add({ [item.type]: [refusal], entries: standIn });
    }
    const { entry } = item;
    const unchanged = isUnchanged(entry);
    if (entry.kind !== 'folder') {
      count.filesTotal++;
      if (unchanged) count.filesUnchanged++;
    }
    if (unchanged) return;
    if (same?.revision === lostRevision) count.filesLost++;
    count.bytesTotal += entry.size;
    add({ entries: [entry] });
  }

  return {
    count,
    unlisted: () => unlisted,
    /** Before the first changes of a delta: everything counts as unchanged. */
    startFrom({ files, links }: Totals): void {
      count.filesTotal = files + links;
      count.filesUnchanged = files + links;
    },
    /** After the last page, the remaining entries of the old manifest count as deleted. */
    async page(items: ListItem[], last: boolean): Promise<void> {
      for (const item of items) {
        let same = oldEntryOf(item);
        for (; same instanceof Promise; same = oldEntryOf(item)) await same;
        take(item, same);
      }
      if (last) for (let old = await base.peek(); old; old = await base.peek()) drop(old);
    },
  };
}

/** Passes the changes of a delta to `add`, as `makeComparer` does, and counts them. */
export function applyChanges(changes: PathChange[], add: (work: Partial<BatchList>) => void, count: Comparison): void {
  for (const { key, was, put, isDeleted, refused } of changes) {
    if (was) {
      count.filesTotal--;
      count.filesUnchanged--;
    }
    if (refused || (put && put.kind !== 'folder')) count.filesTotal++;
    if (put && !('chunks' in put)) count.bytesTotal += put.size;
    const entry = put ?? (refused?.as === 'failed' && key.endsWith('/') ? standInEntry(key) : undefined);
    add({
      ...(entry ? { entries: [entry] } : isDeleted && { deleted: [key] }),
      ...(refused && { [refused.as]: [refused.refusal] }),
    });
  }
}
