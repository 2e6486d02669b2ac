/**
 * The pack registry: one record for each pack of an account. Deduplication trusts a position only if the registry has
 * the pack and its blob is there.
 */
import type { Blobs, JsonObject, Page, Records, RecordWrite, StoredRecord } from '../domain/ports.ts';
import { metadataKey } from './metadata.ts';
import { packBlobKey } from './pack.ts';

/** `uploading`: a crash may have kept the blob from being stored. `lost`: a check did not find the blob. */
export type PackState = 'uploading' | 'live' | 'lost';
export type PackRecord = { state: PackState; bytes: number; epoch: number; run: string };

type Store = { account: string; records: Records; blobs: Blobs };

/** The kinds of packs, by the prefix of their ids. */
const kinds = [
  { prefix: 'man_', keyOf: metadataKey, folder: (account: string) => `manifests/${account}/` },
  { prefix: 'pak_', keyOf: packBlobKey, folder: (account: string) => `packs/${account}/` },
];
const registryKey = (account: string) => `packs/${account}`;
const lostKey = (account: string) => `packs-lost/${account}`;

/** Call it with `uploading` before the upload, and with `live` once the pack is stored. */
export async function registerPack({ account, records }: Store, pack: string, data: PackRecord): Promise<void> {
  await records.write([{ op: 'put', pk: registryKey(account), sk: pack, data }]);
}

/** Those of the packs whose blobs are there with the registered size. */
export async function presentPacks({ account, records, blobs }: Store, packs: string[]): Promise<Set<string>> {
  const found = await records.getMany(packs.map((sk) => ({ pk: registryKey(account), sk })));
  const sizes = await Promise.all(found.map(({ sk }) => blobs.size(packBlobKey(account, sk))));
  return new Set(found.filter(({ data }, i) => data.state === 'live' && data.bytes === sizes[i]).map(({ sk }) => sk));
}

/** The packs that the last check found lost. */
export async function lostPacks({ account, records }: Store): Promise<Set<string>> {
  const lost = new Set<string>();
  for await (const { sk } of allOf((page) => records.query(lostKey(account), page))) lost.add(sk);
  return lost;
}

/** Registered packs of an account, for the doctor. */
export async function* registeredPacks({ account, records }: Store): AsyncGenerator<PackRecord & { pack: string }> {
  for await (const { sk, data } of allOf((page) => records.query(registryKey(account), page)))
    yield { pack: sk, ...(data as PackRecord) };
}

/** Uploads that did not finish in this time never will. */
const longestUploadMs = 24 * 3600_000;

/**
 * Checks that every registered pack is stored, and records lost packs. A lost pack that is back is live again. It lists
 * all packs of the account: one request for each 1,000.
 */
export async function checkPacks(store: Store, now: number): Promise<void> {
  const { account, records, blobs } = store;
  for (const { prefix, keyOf, folder } of kinds) {
    const stored = allOf((page) => blobs.list(folder(account), page))[Symbol.asyncIterator]();
    let blob = await stored.next();
    for await (const record of allOf((page) => records.query(registryKey(account), { prefix, ...page }))) {
      const key = keyOf(account, record.sk);
      while (!blob.done && blob.value.key < key) blob = await stored.next();
      const listed = !blob.done && blob.value.key === key ? blob.value.size : undefined;
      // The pack may have been stored after that page of the list.
      const size = listed ?? (await blobs.size(key));
      const writes = correction(account, record, size, now);
      if (writes.length > 0) await records.write(writes);
    }
  }
}

function correction(account: string, record: StoredRecord, size: number | undefined, now: number): RecordWrite[] {
  const { pk, sk } = record;
  const data = record.data as PackRecord & { at?: number };
  const isStored = size === data.bytes;
  const condition = { equals: { state: data.state } };
  const become = (state: PackState): RecordWrite => ({ op: 'put', pk, sk, data: { ...data, state }, if: condition });
  if (data.state === 'live' && !isStored) return [become('lost'), { op: 'put', pk: lostKey(account), sk, data: {} }];
  if (data.state === 'lost' && isStored) return [become('live'), { op: 'delete', pk: lostKey(account), sk }];
  if (data.state !== 'uploading') return [];
  if (data.at === undefined) return [{ op: 'put', pk, sk, data: { ...data, at: now } as JsonObject, if: condition }];
  if (now - data.at <= longestUploadMs) return [];
  return isStored ? [become('live')] : [{ op: 'delete', pk, sk, if: condition }];
}

async function* allOf<T>(read: (page: { limit: number; cursor?: string }) => Promise<Page<T>>): AsyncGenerator<T> {
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await read({ limit: 1000, ...(cursor ? { cursor } : {}) });
    yield* items;
    if (!next) return;
    cursor = next;
  }
}
