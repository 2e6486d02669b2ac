/** Compares a listing of the source with the last manifest. Both are in the order of entries, so one pass is enough. */
import type { Totals } from '../../domain/backup-chain.ts';
import {
  compareEntries,
  comparePositions,
  type EntryPosition,
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
 * Compares listing pages with the last manifest. `before` yields its entries after the last compared one. The callback
 * `add` gets the differences. The comparison pauses where `isFull`. `unlisted` is the last folder whose entries could
 * not be listed. Nothing is known about the entries below it, so they stay in the backup.
 */
export function makeComparer(
  before: AsyncIterable<EntryState[]>,
  add: (work: Partial<BatchList>) => void,
  start: { unlisted: string | null; last?: EntryPosition | null; isFull?: () => boolean },
) {
  const { isFull = () => false } = start;
  const count: Comparison = { filesTotal: 0, filesUnchanged: 0, bytesTotal: 0, filesLost: 0 };
  const base = peekable(before);
  let unlisted = start.unlisted;
  let last: ListItem | string | undefined;

  function drop(entry: EntryState): void {
    const isUnlisted = unlisted !== null && entry.key.startsWith(unlisted);
    if (!entry.deleted && !isUnlisted) add({ deleted: [entry.key] });
    base.take();
    last = entry.key;
  }

  /**
   * The old entry of the item's key, after the entries before it, which the listing lacks, are marked as deleted. A
   * promise only when entries must be loaded, because a promise for each item is slow. Call it again then.
   */
  function oldEntryOf(item: ListItem): EntryState | undefined | Promise<unknown> | 'full' {
    const key = keyOf(item);
    for (;;) {
      if (isFull()) return 'full';
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
    const isUnchanged = (entry: SourceEntry) => isSameEntry(entry, same);
    if (item.type !== 'entry') {
      const { refusal } = item;
      if (item.type === 'failed' && !item.entry && refusal.key.endsWith('/')) {
        // Its entries may be listed all the same.
        if (!same || same.deleted) add({ entries: [standInEntry(refusal.key)] });
        return;
      }
      count.filesTotal++;
      if (item.type === 'unlisted') {
        unlisted = refusal.key;
        return add({ failed: [refusal] });
      }
      // An unchanged file need not be read, so it does not matter that it cannot be.
      if (item.type === 'failed' && item.entry && isUnchanged(item.entry)) return void count.filesUnchanged++;
      // A failed entry may still exist. A skipped entry has become something that is never backed up.
      const deleted = item.type === 'skipped' && same && !same.deleted ? [refusal.key] : [];
      const standIn = item.type === 'failed' && refusal.key.endsWith('/') ? [standInEntry(refusal.key)] : [];
      return add({ [item.type]: [refusal], entries: standIn, deleted });
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
    /** The position of the last compared item or entry. */
    last(): EntryPosition | null {
      if (last === undefined) return start.last ?? null;
      return typeof last === 'string' ? positionOf(last) : itemPosition(last);
    },
    /**
     * Returns the items that it has not compared, or null when the page is done. After the last page, the remaining
     * entries of the old manifest count as deleted.
     */
    async page(items: ListItem[], isLast: boolean): Promise<ListItem[] | null> {
      for (const [i, item] of items.entries()) {
        let same = oldEntryOf(item);
        for (; same instanceof Promise; same = oldEntryOf(item)) await same;
        if (same === 'full') return items.slice(i);
        take(item, same);
        last = item;
      }
      if (isLast)
        for (let old = await base.peek(); old; old = await base.peek()) {
          if (isFull()) return [];
          drop(old);
        }
      return null;
    },
  };
}

/** Whether the old entry is live and has the same content. */
export function isSameEntry(entry: SourceEntry, old: EntryState | undefined): boolean {
  return (
    old !== undefined &&
    !old.deleted &&
    old.revision === entry.revision &&
    old.kind === entry.kind &&
    old.id === entry.id &&
    old.implied === entry.implied
  );
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
