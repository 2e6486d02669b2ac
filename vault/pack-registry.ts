/**
 * The pack registry: one record for each pack of an account. Deduplication trusts a position only if the registry has
 * the pack and its blob is there.
 */
import pMap from 'p-map';
import { allOf, pagesOf } from '../domain/pages.ts';
import type { Blobs, JsonObject, Records, RecordWrite, StoredRecord } from '../domain/ports.ts';
import { metadataKey } from './metadata.ts';
import { packBlobKey } from './pack.ts';

/**
 * `uploading`: a crash may have kept the blob from being stored. `lost`: a check did not find the blob. `damaged`: a
 * read found altered content. That is final, because checks compare only sizes.
 */
export type PackState = 'uploading' | 'live' | 'lost' | 'damaged';
export type PackRecord = { state: PackState; bytes: number; epoch: number; run: string };

type Store = { account: string; records: Records; blobs: Blobs };

/** The key of a registered pack's blob. Keys have the order of the ids, in `storedPacks` too. */
export function registeredKey(account: string, pack: string): string {
  return pack.startsWith('man_') ? metadataKey(account, pack) : packBlobKey(account, pack);
}

const registryKey = (account: string) => `packs/${account}`;
const lostKey = (account: string) => `packs-lost/${account}`;
/** Packs that are checked at once. */
const concurrency = 16;

/** Call it with `uploading` before the upload, and with `live` once the pack is stored. */
export async function registerPack({ account, records }: Store, pack: string, data: PackRecord): Promise<void> {
  await records.write([{ op: 'put', pk: registryKey(account), sk: pack, data }]);
}

/** Returns the `live` packs whose blobs have the registered size. */
export async function presentPacks({ account, records, blobs }: Store, packs: string[]): Promise<Set<string>> {
  const found = await records.getMany(packs.map((sk) => ({ pk: registryKey(account), sk })));
  const sizes = await Promise.all(found.map(({ sk }) => blobs.size(packBlobKey(account, sk))));
  return new Set(found.filter(({ data }, i) => data.state === 'live' && data.bytes === sizes[i]).map(({ sk }) => sk));
}

/** The lost and damaged packs. Checks each lost one again, so that it is live as soon as it is back. */
export async function lostPacks(store: Store, now: number): Promise<Set<string>> {
  const { account, records } = store;
  const lost = new Set<string>();
  for await (const page of pagesOf((page) => records.query(lostKey(account), page))) {
    for (const { sk } of page) lost.add(sk);
    const registered = await records.getMany(page.map(({ sk }) => ({ pk: registryKey(account), sk })));
    const check = async (record: StoredRecord) => (await correct(store, record, now)) && lost.delete(record.sk);
    await pMap(registered, check, { concurrency });
  }
  return lost;
}

/** Registered packs of an account in the order of their ids, for the doctor. */
export async function* registeredPacks({ account, records }: Store): AsyncGenerator<PackRecord & { pack: string }> {
  for await (const { sk, data } of allOf((page) => records.query(registryKey(account), page)))
    yield { pack: sk, ...(data as PackRecord) };
}

/** All packs of an account that are stored, in the order of their keys. */
export async function* storedPacks({ account, blobs }: Omit<Store, 'records'>) {
  yield* allOf((page) => blobs.list(`manifests/${account}/`, page));
  yield* allOf((page) => blobs.list(`packs/${account}/`, page));
}

/** Uploads that did not finish in this time never will. */
const longestUploadMs = 24 * 3600_000;

/**
 * Checks that every registered pack is stored, and records lost packs. A lost pack that is back is live again. It lists
 * all packs of the account: one request for each 1,000.
 */
export async function checkPacks(store: Store, now: number): Promise<void> {
  const { account, records } = store;
  const stored = storedPacks(store);
  let blob = await stored.next();
  for await (const page of pagesOf((page) => records.query(registryKey(account), page))) {
    const sizes = new Map<string, number>();
    for (const { sk } of page) {
      const key = registeredKey(account, sk);
      while (!blob.done && blob.value.key < key) blob = await stored.next();
      if (!blob.done && blob.value.key === key) sizes.set(sk, blob.value.size);
    }
    // `lostPacks` asks for the sizes of lost packs.
    const checked = page.filter(({ sk, data }) => data.state !== 'lost' || sizes.has(sk));
    await pMap(checked, (record) => correct(store, record, now, sizes.get(record.sk)), { concurrency });
  }
}

/** Call it when a read found a pack missing or altered. The next run stores its files again. */
export async function recordDamage(store: Store, pack: string, now: number): Promise<void> {
  const { account, records } = store;
  const record = await records.get({ pk: registryKey(account), sk: pack });
  // A pack of another size is lost, and live again once it is back.
  if (!record || !(await correct(store, record, now))) return;
  await records.write([
    { op: 'put', ...record, data: { ...record.data, state: 'damaged' } },
    { op: 'put', pk: lostKey(account), sk: pack, data: {} },
  ]);
}

/** Corrects the state of a record. Returns whether the pack is stored and not damaged. */
async function correct(store: Store, record: StoredRecord, now: number, listed?: number): Promise<boolean> {
  if (record.data.state === 'damaged') return false;
  // The pack may have been stored after that page of the list.
  const size = listed ?? (await store.blobs.size(registeredKey(store.account, record.sk)));
  const isStored = size === record.data.bytes;
  const writes = correction(store.account, record, isStored, now);
  if (writes.length > 0) await store.records.write(writes);
  return isStored;
}

function correction(account: string, record: StoredRecord, isStored: boolean, now: number): RecordWrite[] {
  const { pk, sk } = record;
  const data = record.data as PackRecord & { at?: number };
  const condition = { equals: { state: data.state } };
  const become = (state: PackState): RecordWrite => ({ op: 'put', pk, sk, data: { ...data, state }, if: condition });
  if (data.state === 'live' && !isStored) return [become('lost'), { op: 'put', pk: lostKey(account), sk, data: {} }];
  if (data.state === 'lost' && isStored) return [become('live'), { op: 'delete', pk: lostKey(account), sk }];
  if (data.state !== 'uploading') return [];
  if (data.at === undefined) return [{ op: 'put', pk, sk, data: { ...data, at: now } as JsonObject, if: condition }];
  if (now - data.at <= longestUploadMs) return [];
  return isStored ? [become('live')] : [{ op: 'delete', pk, sk, if: condition }];
}
