/**
 * A wrapped key is in two stores: a table and blobs. Either is enough, and the reader repairs the other. No write to
 * one store alone loses a key. Why, and which failures this survives: docs/adr/keys.md.
 */
import { inParallel } from '../domain/parallel.ts';
import type { Log, Page } from '../domain/ports.ts';

/** The key of an account, or of one of its subjects. */
export type KeyId = { account: string; subject?: string };

/** `revision` counts the changes of a key. Once `destroysAt` is set (ms since the epoch), the key must not be used. */
export type WrappedKey = { wrapped: Uint8Array; revision: number; destroysAt?: number };
export type StoredKey = WrappedKey | { destroyed: true };

export type KeyStore = {
  /** Strongly consistent. Throws if the copy is damaged. */
  get(id: KeyId): Promise<StoredKey | undefined>;
  /** Durable. Returns false and writes nothing when a key or a tombstone exists. */
  putIfAbsent(id: KeyId, key: StoredKey): Promise<boolean>;
  /** Durable, with or without an existing key. A tombstone leaves no earlier version behind. */
  replace(id: KeyId, key: StoredKey): Promise<void>;
  /** A page of the keys of an account or of all accounts, in any order. */
  list(page: { limit: number; cursor?: string }, account?: string): Promise<Page<KeyId>>;
};

/** The copies of one key that need attention. */
export type KeyFault =
  | 'missing in the table'
  | 'missing in the blobs'
  | 'older copy'
  | 'half destroyed'
  | 'different keys'
  | 'unreadable';

/** The sweep destroys a key this long after its date. A restore that began before the date has ended by then. */
const overlapMs = 60 * 60_000;
const sweptAtOnce = 8;
const tombstone: StoredKey = { destroyed: true };

type Options = { log: Log; now: () => number; graceMs: number };

export function twoStores(table: KeyStore, blobs: KeyStore, { log, now, graceMs }: Options) {
  const both = (id: KeyId) => Promise.all([table.get(id), blobs.get(id)]);

  async function repair(store: KeyStore, id: KeyId, held: StoredKey | undefined, key: StoredKey): Promise<void> {
    // A key is never deleted for a tombstone here. That needs a grace, see `settle`.
    if (isSame(held, key) || (held && 'destroyed' in key)) return;
    const fields = { account: id.account, subject: id.subject ?? null, store: store === table ? 'table' : 'blobs' };
    try {
      if (held) await store.replace(id, key);
      else await store.putIfAbsent(id, key);
      // Earlier versions kept one copy, with revision 0.
      if ('wrapped' in key && key.revision === 0) log.info('a key of an earlier version got its second copy', fields);
      else log.error('a copy of a key was missing or old, and was written again', fields);
    } catch (error) {
      log.error('a copy of a key is missing or old, and could not be written', fields, error);
    }
  }

  /** The current state. Repairs the copy that is missing or older. Throws if the copies hold different keys. */
  async function read(id: KeyId): Promise<StoredKey | undefined> {
    const [row, blob] = await both(id);
    let key = newest(id, row, blob);
    if (!key || (isSame(row, key) && isSame(blob, key))) return key;
    // One copy alone never destroys a key: if its time is over, both copies get a new grace.
    if ('wrapped' in key && key.destroysAt !== undefined && key.destroysAt <= now())
      key = { ...key, revision: key.revision + 1, destroysAt: now() + graceMs };
    await Promise.all([repair(table, id, row, key), repair(blobs, id, blob, key)]);
    return key;
  }

  /** Stores the first state of a key in both stores. Returns the first state that anyone stored. */
  async function begin(id: KeyId, key: StoredKey): Promise<StoredKey> {
    await blobs.putIfAbsent(id, key);
    // Of two callers at once, both write to the table what the first one put in the blobs.
    const first = await blobs.get(id);
    if (first) await table.putIfAbsent(id, first);
    const [row, blob] = await both(id);
    const stored = newest(id, row, blob);
    if (!stored || !row || !blob) throw new Error(`${nameOf(id)} is not in both stores yet. Try again.`);
    return stored;
  }

  async function change(id: KeyId, { wrapped, revision }: WrappedKey, destroysAt: number | undefined): Promise<void> {
    const next: WrappedKey = { wrapped, revision: revision + 1, ...(destroysAt !== undefined && { destroysAt }) };
    await table.replace(id, next);
    await blobs.replace(id, next);
  }

  /** Repairs the copies, and destroys a key that is due. */
  async function settle(id: KeyId): Promise<void> {
    await read(id);
    const [row, blob] = await both(id);
    const isDue = (key: StoredKey | undefined) =>
      key && 'wrapped' in key && key.destroysAt !== undefined && key.destroysAt + overlapMs <= now();
    if (isDue(row) && isDue(blob)) {
      await table.replace(id, tombstone);
      await blobs.replace(id, tombstone);
      return;
    }
    if (!isHalfDestroyed(row, blob)) return;
    const [store, left] = row && 'wrapped' in row ? [table, row] : [blobs, blob as WrappedKey];
    if (isDue(left)) await store.replace(id, tombstone);
    else if (left.destroysAt === undefined) {
      log.error('a key is destroyed in one store only, and is destroyed in the other after the grace', { ...id });
      await store.replace(id, { ...left, destroysAt: now() + graceMs });
    }
  }

  return {
    read,

    /** Returns the state of a key. Creates it with the key that `make` wraps if no store has a key or a tombstone. */
    async create(id: KeyId, make: () => Promise<Uint8Array>): Promise<StoredKey> {
      return (await read(id)) ?? begin(id, { wrapped: await make(), revision: 1 });
    },

    /** Schedules the destruction unless it is scheduled. Returns its time, null for a key that is gone or never was. */
    async destroy(id: KeyId): Promise<number | null> {
      const key = (await read(id)) ?? (await begin(id, tombstone));
      if ('destroyed' in key) return null;
      if (key.destroysAt !== undefined) return key.destroysAt;
      const destroysAt = now() + graceMs;
      await change(id, key, destroysAt);
      return destroysAt;
    },

    /** Takes a scheduled destruction back. Returns whether the key is usable again. */
    async restore(id: KeyId): Promise<boolean> {
      const key = await read(id);
      if (!key || 'destroyed' in key) return false;
      if (key.destroysAt === undefined) return true;
      if (key.destroysAt <= now()) return false;
      await change(id, key, undefined);
      return true;
    },

    /** Settles a page of the keys in either store. Returns the cursor of the next page, null after the last one. */
    async sweep(cursor: string | undefined): Promise<string | null> {
      const { inBlobs, from } = cursor === undefined ? { inBlobs: false } : JSON.parse(cursor);
      const page = await (inBlobs ? blobs : table).list({ limit: 1000, ...(from && { cursor: from }) });
      await inParallel(sweptAtOnce, page.items, (id) =>
        settle(id).catch((error) => log.error('a key could not be checked', { ...id }, error)),
      );
      if (page.next !== null) return JSON.stringify({ inBlobs, from: page.next });
      return inBlobs ? null : JSON.stringify({ inBlobs: true });
    },

    /** Compares the copies of every key of an account and changes nothing. */
    async compare(account: string): Promise<{ subject: string | null; fault: KeyFault }[]> {
      const ids = new Map<string, KeyId>();
      for (const store of [table, blobs])
        for (let cursor: string | null = ''; cursor !== null; ) {
          const page: Page<KeyId> = await store.list({ limit: 1000, ...(cursor && { cursor }) }, account);
          for (const id of page.items) ids.set(nameOf(id), id);
          cursor = page.next;
        }
      const faults: { subject: string | null; fault: KeyFault }[] = [];
      await inParallel(sweptAtOnce, ids.values(), async (id) => {
        const copies = await both(id).catch(() => undefined);
        const fault = copies ? faultOf(...copies) : 'unreadable';
        if (fault) faults.push({ subject: id.subject ?? null, fault });
      });
      return faults;
    },
  };
}

/** A tombstone wins, then the higher revision, then the later destruction. */
function newest(id: KeyId, row: StoredKey | undefined, blob: StoredKey | undefined): StoredKey | undefined {
  if (!row || !blob) return row ?? blob;
  if ('destroyed' in row) return row;
  if ('destroyed' in blob) return blob;
  if (!Buffer.from(row.wrapped).equals(blob.wrapped))
    throw new Error(
      `The table and the blobs hold different keys for ${nameOf(id)}. Remove the wrong one, see docs/runbook.md.`,
    );
  const order = row.revision - blob.revision || (row.destroysAt ?? 0) - (blob.destroysAt ?? 0);
  return order < 0 ? blob : row;
}

function isSame(one: StoredKey | undefined, other: StoredKey): boolean {
  if (!one || 'destroyed' in one || 'destroyed' in other)
    return one !== undefined && 'destroyed' in one && 'destroyed' in other;
  return one.revision === other.revision && one.destroysAt === other.destroysAt;
}

function isHalfDestroyed(row: StoredKey | undefined, blob: StoredKey | undefined): boolean {
  return row !== undefined && blob !== undefined && 'destroyed' in row !== 'destroyed' in blob;
}

function faultOf(row: StoredKey | undefined, blob: StoredKey | undefined): KeyFault | undefined {
  if (!row) return 'missing in the table';
  if (!blob) return 'missing in the blobs';
  if (isHalfDestroyed(row, blob)) return 'half destroyed';
  if ('wrapped' in row && 'wrapped' in blob && !Buffer.from(row.wrapped).equals(blob.wrapped)) return 'different keys';
  return isSame(row, blob) ? undefined : 'older copy';
}

/** The context that binds a wrapped key to its store in the hierarchy. */
export function nameOf({ account, subject }: KeyId): string {
  return JSON.stringify(subject === undefined ? ['account key', account] : ['subject key', account, subject]);
}
