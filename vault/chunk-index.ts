/**
 * The chunk index: one record for each stored chunk of an account, with its position. Only deduplication needs it.
 * Manifests hold positions themselves, and pack footers can restore every record.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { base32 } from '../crypto/base32.ts';
import type { Blobs, RecordKey, Records, StoredRecord } from '../domain/ports.ts';
import { VaultDamage } from './damage.ts';
import type { VaultKeys } from './keys.ts';
import { type ChunkRef, decryptFooter, footerLength, packBlobKey, trailerLength } from './pack.ts';

/**
 * HMAC-SHA-256 over the chunk's SHA-256, truncated to 160 bits (32 characters of base32). Without the key nobody can
 * test whether a known chunk is stored. An exabyte in chunks of 1 MiB (2^40) has two equal ids with p ≈ 2^−81. With a
 * leaked key, a collision takes 2^80 work. 128 bits would save 6 characters, but leave 2^64. The HMAC covers the hash
 * and not the content, so that a file of one chunk is hashed once.
 */
export function chunkId(keys: Pick<VaultKeys, 'chunkId'>, sha256: Uint8Array): string {
  // Creating the key object takes longer than the HMAC itself.
  const key = keyObjects.get(keys.chunkId) ?? createSecretKey(keys.chunkId);
  keyObjects.set(keys.chunkId, key);
  return base32(createHmac('sha256', key).update(sha256).digest().subarray(0, 20));
}

const keyObjects = new WeakMap<Uint8Array, KeyObject>();

/** 1,024 partitions an account, so that no partition becomes hot or too large. */
function recordKey(account: string, id: string): RecordKey {
  return { pk: `chunk/${account}/${id.slice(0, 2)}`, sk: id };
}

/** The positions of those chunks that are stored. Strongly consistent. */
export async function findChunks(records: Records, account: string, ids: string[]): Promise<Map<string, ChunkRef>> {
  const found = await records.getMany(ids.map((id) => recordKey(account, id)));
  return new Map(found.map((record) => [record.sk, readRecord(record)]));
}

/**
 * Every record of the index, for the doctor. It makes at least 1,024 queries. A partition that cannot be read in full
 * yields its readable records, then its name as `unreadable`.
 */
export async function* indexedChunks(
  records: Records,
  account: string,
): AsyncGenerator<{ id: string; ref: ChunkRef } | { unreadable: string }> {
  const all = partitions().map((partition) => recordKey(account, partition).pk);
  for (let done = 0; done < all.length; done += parallelQueries) {
    const started = all
      .slice(done, done + parallelQueries)
      .map((pk) => ({ pk, first: records.query(pk, { limit: 1000 }).catch(() => undefined) }));
    for (const { pk, first } of started) {
      try {
        let page = await first;
        for (;;) {
          if (!page) throw new Error('the first page cannot be read');
          for (const record of page.items) yield { id: record.sk, ref: readRecord(record) };
          if (!page.next) break;
          page = await records.query(pk, { limit: 1000, cursor: page.next });
        }
      } catch {
        yield { unreadable: pk };
      }
    }
  }
}

/** Most partitions have one page, so the latency of the first queries dominates. */
const parallelQueries = 32;

/** All prefixes of ids: two characters. */
function partitions(): string[] {
  return Array.from({ length: 1024 }, (_, number) =>
    base32(Uint8Array.of(number >>> 2, (number & 3) << 6)).slice(0, 2),
  );
}

/** Adds chunks of durable packs to the index. Idempotent. */
export async function indexChunks(records: Records, account: string, chunks: Map<string, ChunkRef>): Promise<void> {
  await records.putMany([...chunks].map(([id, ref]) => writeRecord(account, id, ref)));
}

/**
 * Restores the index records of a pack from its footer, and returns the number of chunks.
 * @throws VaultDamage when the pack is missing or damaged
 */
export async function indexFromPack(
  vault: { account: string; keys: VaultKeys; blobs: Blobs; records: Records },
  pack: string,
): Promise<number> {
  const chunks = await readPackIndex(vault, pack);
  await indexChunks(vault.records, vault.account, chunks);
  return chunks.size;
}

/** The chunks of a stored pack, according to its footer. @throws VaultDamage when it is missing or damaged */
export async function readPackIndex(
  vault: { account: string; keys: VaultKeys; blobs: Blobs },
  pack: string,
): Promise<Map<string, ChunkRef>> {
  const key = packBlobKey(vault.account, pack);
  const size = await vault.blobs.size(key);
  if (size === undefined || size < trailerLength)
    throw new VaultDamage('pack', `${pack} is ${size === undefined ? 'missing' : 'truncated'}`);
  const tail = async (length: number) =>
    (await vault.blobs.get(key, { offset: size - length, length })) ?? new Uint8Array();
  const length = footerLength(pack, await tail(trailerLength));
  if (length > size) throw new VaultDamage('pack', `${pack} is truncated`);
  return decryptFooter(vault.keys, vault.account, pack, await tail(length), size);
}

function writeRecord(account: string, id: string, ref: ChunkRef): StoredRecord {
  const { pack, slot, slotOffset, slotLength, offset, length } = ref;
  return { ...recordKey(account, id), data: { p: pack, s: slot, a: slotOffset, n: slotLength, o: offset, l: length } };
}

function readRecord(record: StoredRecord): ChunkRef {
  const { p, s, a, n, o, l } = record.data;
  return {
    pack: String(p),
    slot: Number(s),
    slotOffset: Number(a),
    slotLength: Number(n),
    offset: Number(o),
    length: Number(l),
  };
}
