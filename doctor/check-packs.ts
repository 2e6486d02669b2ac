/** Checks packs: each is intact, holds the chunks that manifests need, and agrees with the chunk index. */
import { hash } from 'node:crypto';
import type { ChunkIndex, ChunkRef } from '../domain/ports.ts';
import { cacheOf } from '../vault/cache.ts';
import { VaultDamage } from '../vault/damage.ts';
import { chunkId } from '../vault/digest.ts';
import type { ReaderContext } from '../vault/metadata.ts';
import { decryptSlot, packBlobKey, readPackIndex } from '../vault/pack.ts';
import { type Count, type Finding, failure, info } from './finding.ts';
import { allBlobs, counted, countUnused, reasonOf } from './reading.ts';

/**
 * The chunks of a pack by id, and their slot positions. `fault`: why there are none. `damaged`: the pack is missing or
 * altered. `unreadable`: nothing is known about it.
 */
type Footer =
  | { chunks: Map<string, ChunkRef>; slotRefs: Set<string> }
  | { state: 'damaged' | 'unreadable'; fault: string };

/** `readData`: whether to decrypt every slot of a pack. */
type PackChecks = { readData(pack: string): boolean; mayBeNamed: Set<string> };

export type CheckedPacks = {
  /**
   * Notes that a file version needs the chunk. `missing`: the pack is intact but lacks the chunk. `check` reports
   * damaged and unreadable packs, once each.
   */
  need(ref: ChunkRef): Promise<'found' | 'missing' | 'damaged' | 'unreadable'>;
  /** Whether a file version needs a chunk of the pack. */
  isNeeded(pack: string): boolean;
  /** Compares all stored and all needed packs with the chunk index. */
  check(chunks: ChunkIndex, options: PackChecks): AsyncGenerator<Finding>;
};

/** Chunks of cached footers: about 100 MB. */
const cachedChunks = 300_000;

/** Index records that are compared with footers at once: about 50 MB. */
const comparedRecords = 256 * 1024;

const wrongReference = 'new backups would refer to wrong content';

export function checkedPacks(context: ReaderContext, count: Count): CheckedPacks {
  const { account, blobs, keys } = context;
  const footers = cacheOf<Footer>(cachedChunks, (footer) => ('chunks' in footer ? footer.chunks.size : 1));
  /** Chunk references of manifests, by pack. */
  const needed = new Map<string, number>();

  const footerOf = (pack: string) =>
    footers.get(pack, async () => {
      try {
        const chunks = await readPackIndex(context, pack);
        return { chunks, slotRefs: new Set([...chunks.values()].map(slotRefOf)) };
      } catch (error) {
        return { state: error instanceof VaultDamage ? 'damaged' : 'unreadable', fault: reasonOf(error, pack) };
      }
    });

  async function* checkPack(
    chunks: ChunkIndex,
    pack: string,
    readData: boolean,
    index: IndexCounts,
  ): AsyncGenerator<Finding> {
    count('pack-footer');
    const uses = needed.get(pack) ?? 0;
    const footer = await footerOf(pack);
    if ('fault' in footer) {
      yield failure('pack-footer', pack, `${footer.fault}; backed-up files need ${counted(uses, 'chunk')} of it`);
      return;
    }
    if (readData) yield* checkSlots(pack, footer.chunks);
    let indexed: Map<string, ChunkRef>;
    try {
      indexed = await chunks.find(account, [...footer.chunks.keys()]);
    } catch (error) {
      return yield failure('chunk-index', `${account} ${pack}`, `the records of its chunks: ${reasonOf(error)}`);
    }
    for (const [id, ref] of footer.chunks) {
      const indexRef = indexed.get(id);
      if (!indexRef) index.unindexed++;
      if (indexRef?.pack !== pack) continue;
      index.inFooter.set(pack, (index.inFooter.get(pack) ?? 0) + 1);
      if (slotRefOf(indexRef) !== slotRefOf(ref))
        yield failure('chunk-index', `${account} ${id}`, `it has the wrong position in ${pack}: ${wrongReference}`);
    }
  }

  async function* checkSlots(pack: string, chunks: Map<string, ChunkRef>): AsyncGenerator<Finding> {
    let bytes: Uint8Array;
    try {
      bytes = (await blobs.get(packBlobKey(account, pack))) ?? new Uint8Array();
    } catch (error) {
      return yield failure('pack-slot', `${pack}, all slots`, reasonOf(error));
    }
    const slots = Map.groupBy(chunks, ([, ref]) => ref.slot);
    for (const [slot, expected] of slots) {
      count('pack-slot');
      const where = `${pack} slot ${slot}`;
      const use = needed.has(pack) ? 'files may need it' : 'no file needs it';
      try {
        const { slotOffset, slotLength } = expected[0]?.[1] ?? { slotOffset: 0, slotLength: 0 };
        const content = decryptSlot(keys, account, pack, slot, bytes.subarray(slotOffset, slotOffset + slotLength));
        const wrong = expected.filter(([id, { offset, length }]) => {
          const chunk = content.subarray(offset, offset + length);
          return chunk.length !== length || chunkId(keys, hash('sha256', chunk)) !== id;
        });
        if (wrong.length > 0)
          yield failure(
            'pack-slot',
            where,
            `${wrong.length} of its chunks have other ids than the footer says; ${use}`,
          );
      } catch (error) {
        yield failure('pack-slot', where, `${reasonOf(error, `slot ${slot} of ${pack}`)}; ${use}`);
      }
    }
  }

  /** Index records that point into a pack whose footer does not have the chunk. */
  async function* checkUnknownChunks(chunks: ChunkIndex, packs: Set<string>): AsyncGenerator<Finding> {
    let pointers: [pack: string, id: string][] = [];
    async function* compare(): AsyncGenerator<Finding> {
      // In the order of packs, each footer is read once.
      for (const [pack, id] of pointers.sort()) {
        const footer = await footerOf(pack);
        if ('chunks' in footer && !footer.chunks.has(id))
          yield failure('chunk-index', `${account} ${id}`, `${pack} does not have this chunk: ${wrongReference}`);
      }
      pointers = [];
    }
    for await (const entry of chunks.scan(account)) {
      // The first scan reported unreadable parts.
      if ('unreadable' in entry || !packs.has(entry.ref.pack)) continue;
      pointers.push([entry.ref.pack, entry.id]);
      if (pointers.length === comparedRecords) yield* compare();
    }
    yield* compare();
  }

  return {
    async need(ref) {
      needed.set(ref.pack, (needed.get(ref.pack) ?? 0) + 1);
      const footer = await footerOf(ref.pack);
      if ('fault' in footer) return footer.state;
      return footer.slotRefs.has(slotRefOf(ref)) ? 'found' : 'missing';
    },

    isNeeded: (pack) => needed.has(pack),

    async *check(chunks, { readData, mayBeNamed }) {
      const stored = new Map<string, number>();
      for await (const { key, size } of allBlobs(blobs, `packs/${account}/`))
        stored.set(key.slice(key.lastIndexOf('/') + 1), size);
      const index: IndexCounts = { all: new Map(), inFooter: new Map(), unindexed: 0 };
      yield* scanIndex(chunks, account, count, ({ pack }) => index.all.set(pack, (index.all.get(pack) ?? 0) + 1));
      // Backups use a record only if the pack registry has its pack and the pack is stored.
      const unusable = [...index.all].filter(([pack]) => !stored.has(pack));
      if (unusable.length > 0) {
        const records = unusable.reduce((sum, [, pointers]) => sum + pointers, 0);
        const detail = `${counted(records, 'record')} in ${counted(unusable.length, 'missing pack')}: backups store that content again`;
        yield info('chunk-index', account, detail);
      }
      for (const pack of new Set([...stored.keys(), ...needed.keys()]))
        yield* checkPack(chunks, pack, readData(pack), index);
      const suspects = [...index.all]
        .filter(([pack, pointers]) => stored.has(pack) && pointers !== (index.inFooter.get(pack) ?? 0))
        .map(([pack]) => pack);
      if (suspects.length > 0) yield* checkUnknownChunks(chunks, new Set(suspects));
      if (index.unindexed > 0) {
        const detail = `the index lacks ${counted(index.unindexed, 'stored chunk')}: backups may store that content once more`;
        yield info('chunk-index', account, detail);
      }
      const unused = countUnused('pack');
      for (const [pack, size] of stored) if (!needed.has(pack) && !mayBeNamed.has(pack)) unused.add(pack, size);
      const detail = unused.text();
      if (detail) yield info('pack-footer', account, detail);
    },
  };
}

/**
 * `all`: index records by the pack they point to. `inFooter`: records whose chunk is in that pack's footer.
 * `unindexed`: the number of chunks without a record.
 */
type IndexCounts = { all: Map<string, number>; inFooter: Map<string, number>; unindexed: number };

async function* scanIndex(
  chunks: ChunkIndex,
  account: string,
  count: Count,
  visit: (ref: ChunkRef) => void,
): AsyncGenerator<Finding> {
  for await (const entry of chunks.scan(account)) {
    if ('unreadable' in entry) yield failure('chunk-index', entry.unreadable, 'its records cannot be read');
    else {
      count('chunk-index');
      visit(entry.ref);
    }
  }
}

function slotRefOf({ slot, slotOffset, slotLength, offset, length }: ChunkRef): string {
  return `${slot} ${slotOffset} ${slotLength} ${offset} ${length}`;
}
