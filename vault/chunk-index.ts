/**
 * Which chunks the account already has, and where: one record a chunk. It only saves work: manifests carry locations themselves, and
 * every record can be made again from the footers of the packs.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import { base32 } from '../crypto/base32.ts';
import type { Blobs, RecordKey, Records, StoredRecord } from '../domain/ports.ts';
import { VaultDamage } from './damage.ts';
import type { VaultKeys } from './keys.ts';
import { type ChunkRef, decryptFooter, footerLength, packBlobKey, trailerLength } from './pack.ts';

/**
 * HMAC-SHA-256 over the chunk's SHA-256, cut to 160 bits (32 characters of base32). Nobody without the key can test whether a known
 * chunk is here. An exabyte in 1 MiB chunks (2^40) holds two equal ids by chance with p ≈ 2^−81, and even a leaked key leaves 2^80
 * work to make a pair; 128 bits would save 6 characters and leave 2^64. Over the hash and not the content, so that a file of one chunk
 * is hashed once for both.
 */
export function chunkId(keys: Pick<VaultKeys, 'chunkId'>, sha256: Uint8Array): string {
  // Making a key of bytes takes longer than all the rest.
  const key = madeKeys.get(keys.chunkId) ?? createSecretKey(keys.chunkId);
  madeKeys.set(keys.chunkId, key);
  return base32(createHmac('sha256', key).update(sha256).digest().subarray(0, 20));
}

const madeKeys = new WeakMap<Uint8Array, KeyObject>();

/** 1,024 partitions an account: no DynamoDB partition grows hot or past its size. */
function recordKey(account: string, id: string): RecordKey {
  return { pk: `chunk/${account}/${id.slice(0, 2)}`, sk: id };
}

/** Those of the chunks that are stored, and where. Strongly consistent. */
export async function findChunks(records: Records, account: string, ids: string[]): Promise<Map<string, ChunkRef>> {
  const found = await records.getMany(ids.map((id) => recordKey(account, id)));
  return new Map(found.map((record) => [record.sk, readRecord(record)]));
}

/**
 * Every record of the index, for whoever checks it: 1,024 queries. Of a partition that cannot be read in full, what could be, and its name.
 */
export async function* indexedChunks(
  records: Records,
  account: string,
): AsyncGenerator<{ id: string; ref: ChunkRef } | { unreadable: string }> {
  const all = partitions().map((partition) => recordKey(account, partition).pk);
  for (let done = 0; done < all.length; done += atOnce) {
    const begun = all
      .slice(done, done + atOnce)
      .map((pk) => ({ pk, first: records.query(pk, { limit: 1000 }).catch(() => undefined) }));
    for (const { pk, first } of begun) {
      try {
        let page = await first;
        for (;;) {
          if (!page) throw new Error('its first page could not be read');
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

/** Most partitions hold a page or less, and waiting for one after the other is what takes the time. */
const atOnce = 32;

/** The two characters that ids begin with. */
function partitions(): string[] {
  return Array.from({ length: 1024 }, (_, number) =>
    base32(Uint8Array.of(number >>> 2, (number & 3) << 6)).slice(0, 2),
  );
}

/** Only for chunks of packs that are durable already. Repeating it changes nothing. */
export async function indexChunks(records: Records, account: string, chunks: Map<string, ChunkRef>): Promise<void> {
  await records.putMany([...chunks].map(([id, ref]) => writeRecord(account, id, ref)));
}

/** Makes the index records of a pack from its footer; how many chunks it has. VaultDamage when the pack is gone or damaged. */
export async function indexFromPack(
  vault: { account: string; keys: VaultKeys; blobs: Blobs; records: Records },
  pack: string,
): Promise<number> {
  const chunks = await readPackIndex(vault, pack);
  await indexChunks(vault.records, vault.account, chunks);
  return chunks.size;
}

/** What a stored pack says it holds. */
export async function readPackIndex(
  vault: { account: string; keys: VaultKeys; blobs: Blobs },
  pack: string,
): Promise<Map<string, ChunkRef>> {
  const key = packBlobKey(vault.account, pack);
  const size = await vault.blobs.size(key);
  if (size === undefined || size < trailerLength)
    throw new VaultDamage('pack', `${pack} is ${size === undefined ? 'gone' : 'cut short'}`);
  const tail = async (length: number) =>
    (await vault.blobs.get(key, { offset: size - length, length })) ?? new Uint8Array();
  const length = footerLength(pack, await tail(trailerLength));
  if (length > size) throw new VaultDamage('pack', `${pack} is cut short`);
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
