/** Whether packs are whole and hold what manifests and the chunk index say they do. */
import { hash } from 'node:crypto';
import type { Records } from '../domain/ports.ts';
import { cacheOf } from '../vault/cache.ts';
import { chunkId, findChunks, indexedChunks, readPackIndex } from '../vault/chunk-index.ts';
import { VaultDamage } from '../vault/damage.ts';
import { type ChunkRef, decryptSlot, packBlobKey } from '../vault/pack.ts';
import type { ReaderContext } from '../vault/segment.ts';
import { type Count, type Finding, failure, info } from './finding.ts';

/** What a pack's footer says, by chunk id and by place; `damage`: why it says nothing. */
type Footer = { chunks: Map<string, ChunkRef>; slotRefs: Set<string> } | { damage: string };

export type CheckedPacks = {
  /** A file version needs the chunk. `missing`: its pack is whole, and has no such chunk; damaged packs are told of later, once each. */
  need(ref: ChunkRef): Promise<'found' | 'missing' | 'damaged'>;
  /** Compares all packs there are, and all that are needed, with the index; with `readData` every slot is opened. */
  check(records: Records, options: { readData: boolean; mayBeNamed: Set<string> }): AsyncGenerator<Finding>;
};

/** Chunks of footers held at a time: some 100 MB. */
const heldChunks = 300_000;

export function checkedPacks(context: ReaderContext, count: Count): CheckedPacks {
  const { account, blobs, keys } = context;
  const footers = cacheOf<Footer>(heldChunks, (footer) => ('chunks' in footer ? footer.chunks.size : 1));
  /** Packs that manifests need, and how many chunk references lead there. */
  const needed = new Map<string, number>();

  const footerOf = (pack: string) =>
    footers.get(pack, async () => {
      try {
        const chunks = await readPackIndex(context, pack);
        return { chunks, slotRefs: new Set([...chunks.values()].map(slotRefOf)) };
      } catch (error) {
        return { damage: whyOf(error) };
      }
    });

  async function* checkPack(
    records: Records,
    pack: string,
    readData: boolean,
    pointing: Pointing,
  ): AsyncGenerator<Finding> {
    count('pack-footer');
    const uses = needed.get(pack) ?? 0;
    const footer = await footerOf(pack);
    if ('damage' in footer) {
      yield failure('pack-footer', pack, `${footer.damage}; ${uses} chunks of backed-up files are in it`);
      return;
    }
    if (readData) yield* checkSlots(pack, footer.chunks);
    const indexed = await findChunks(records, account, [...footer.chunks.keys()]).catch(() => undefined);
    if (!indexed) return;
    for (const [id, ref] of footer.chunks) {
      const found = indexed.get(id);
      if (!found) pointing.unindexed++;
      if (found?.pack !== pack) continue;
      pointing.right.set(pack, (pointing.right.get(pack) ?? 0) + 1);
      if (slotRefOf(found) !== slotRefOf(ref))
        yield failure(
          'chunk-index',
          `${account} ${id}`,
          `it points to another place of ${pack} than where the chunk is: files would be saved by reference to wrong bytes`,
        );
    }
  }

  async function* checkSlots(pack: string, chunks: Map<string, ChunkRef>): AsyncGenerator<Finding> {
    const bytes = (await blobs.get(packBlobKey(account, pack)).catch(() => undefined)) ?? new Uint8Array();
    const slots = Map.groupBy(chunks, ([, ref]) => ref.slot);
    for (const [slot, held] of slots) {
      count('pack-slot');
      const where = `${pack} slot ${slot}`;
      const uses = `${needed.has(pack) ? 'files may need' : 'no file needs'} it`;
      try {
        const { slotOffset, slotLength } = held[0]?.[1] ?? { slotOffset: 0, slotLength: 0 };
        const content = decryptSlot(keys, account, pack, slot, bytes.subarray(slotOffset, slotOffset + slotLength));
        const wrong = held.filter(([id, { offset, length }]) => {
          const chunk = content.subarray(offset, offset + length);
          return chunk.length !== length || chunkId(keys, hash('sha256', chunk, 'buffer')) !== id;
        });
        if (wrong.length > 0)
          yield failure(
            'pack-slot',
            where,
            `${wrong.length} chunks in it are not those that the footer names; ${uses}`,
          );
      } catch (error) {
        yield failure('pack-slot', where, `${whyOf(error)}; ${uses}`);
      }
    }
  }

  return {
    async need(ref) {
      needed.set(ref.pack, (needed.get(ref.pack) ?? 0) + 1);
      const footer = await footerOf(ref.pack);
      if ('damage' in footer) return 'damaged';
      return footer.slotRefs.has(slotRefOf(ref)) ? 'found' : 'missing';
    },

    async *check(records, { readData, mayBeNamed }) {
      const stored = new Map<string, number>();
      for await (const { key, size } of listed(context, `packs/${account}/`))
        stored.set(key.slice(key.lastIndexOf('/') + 1), size);
      const pointing: Pointing = { all: new Map(), right: new Map(), unindexed: 0 };
      yield* scanIndex(records, account, count, (_id, { pack }) => {
        pointing.all.set(pack, (pointing.all.get(pack) ?? 0) + 1);
        return stored.has(pack)
          ? undefined
          : `it points to ${pack}, which is gone: files would be saved by reference to nothing`;
      });
      for (const pack of new Set([...stored.keys(), ...needed.keys()]))
        yield* checkPack(records, pack, readData, pointing);
      const suspects = new Set(
        [...pointing.all].flatMap(([pack, many]) =>
          stored.has(pack) && many !== (pointing.right.get(pack) ?? 0) ? [pack] : [],
        ),
      );
      if (suspects.size > 0) yield* checkStrays(records, suspects);
      if (pointing.unindexed > 0)
        yield info(
          'chunk-index',
          account,
          `${pointing.unindexed} chunks in packs are not in it: content like theirs will be stored once more`,
        );
      const orphans = [...stored].filter(([pack]) => !needed.has(pack) && !mayBeNamed.has(pack));
      if (orphans.length > 0)
        yield info(
          'pack-footer',
          account,
          `${orphans.length} packs (${sum(orphans)} bytes) are in no backup: ${some(orphans)}`,
        );
    },
  };

  /** Index records for a pack that its footer knows nothing of. */
  async function* checkStrays(records: Records, suspects: Set<string>): AsyncGenerator<Finding> {
    const all: [string, string][] = [];
    const found = scanIndex(
      records,
      account,
      () => {},
      (id, { pack }) => {
        if (suspects.has(pack)) all.push([pack, id]);
        return undefined;
      },
    );
    for await (const _again of found);
    for (const [pack, id] of all.sort()) {
      const footer = await footerOf(pack);
      if ('chunks' in footer && !footer.chunks.has(id))
        yield failure(
          'chunk-index',
          `${account} ${id}`,
          `it points into ${pack}, which has no such chunk: files would be saved by reference to wrong bytes`,
        );
    }
  }
}

/** Index records by the pack they point to, those of them that its footer agrees with, and chunks that no record knows. */
type Pointing = { all: Map<string, number>; right: Map<string, number>; unindexed: number };

async function* scanIndex(
  records: Records,
  account: string,
  count: Count,
  faultOf: (id: string, ref: ChunkRef) => string | undefined,
): AsyncGenerator<Finding> {
  for await (const found of indexedChunks(records, account)) {
    if ('unreadable' in found) yield failure('chunk-index', found.unreadable, 'its records cannot be read');
    else {
      count('chunk-index');
      const fault = faultOf(found.id, found.ref);
      if (fault) yield failure('chunk-index', `${account} ${found.id}`, fault);
    }
  }
}

export async function* listed(
  { blobs }: Pick<ReaderContext, 'blobs'>,
  prefix: string,
): AsyncGenerator<{ key: string; size: number }> {
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await blobs.list(prefix, { limit: 1000, ...(cursor ? { cursor } : {}) });
    yield* items;
    if (!next) return;
    cursor = next;
  }
}

/** Why something cannot be read, without anything personal: our own words, or the machine's code. */
export function whyOf(error: unknown): string {
  if (error instanceof VaultDamage) return error.message;
  const { code, name } = error as { code?: unknown; name?: unknown };
  return `it cannot be read (${typeof code === 'string' ? code : String(name)})`;
}

function slotRefOf({ slot, slotOffset, slotLength, offset, length }: ChunkRef): string {
  return `${slot} ${slotOffset} ${slotLength} ${offset} ${length}`;
}

export function sum(sized: [name: string, size: number][]): number {
  return sized.reduce((total, [, size]) => total + size, 0);
}

export function some(named: [name: string, size: number][]): string {
  const names = named.slice(0, 5).map(([name]) => name);
  return named.length > names.length ? `${names.join(', ')} …` : names.join(', ');
}
