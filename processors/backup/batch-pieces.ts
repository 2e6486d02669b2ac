/**
 * Pieces of a batch: what it stored between two checkpoints, as encrypted blobs of the run. So a checkpoint costs what
 * is new, not what is stored.
 */
import { compareEntries, type SourceEntry } from '../../domain/entry.ts';
import type { ChunkRef } from '../../domain/ports.ts';
import { VaultDamage } from '../../vault/damage.ts';
import type { FoundEntry } from '../../vault/entry.ts';
import { type BatchList, decodeList, encodeList } from '../../vault/part.ts';
import { chunksOf, type WriterTotals } from '../../vault/writer.ts';
import type { EngineWork, StoreRequest } from './engine.ts';
import type { Fetched, Fragment } from './store-files.ts';
import { workFolder } from './work.ts';

/** An entry with its content, if it has any. */
export type StoredEntry = SourceEntry & Pick<FoundEntry, 'sha256' | 'chunks'>;

/** The lists are in any order. */
export type Stored = { list: BatchList<StoredEntry> } & Sums;

/** `bytesRead`: the size of the files. */
type Sums = Pick<WriterTotals, 'packs' | 'bytesStored' | 'requests'> & { bytesRead: number };

/** The pieces of one attempt: `name` with the numbers below `count`. */
export type Pieces = { name: string; count: number };

const readAtOnce = 16;

/** The results as entries. Their packs must be durable. */
export function storedOf({ stored, failed, skipped, vanished }: Fetched, totals: Omit<Sums, 'bytesRead'>): Stored {
  const entries = stored.map(({ entry, file }): StoredEntry => {
    if (!file) return entry;
    return Object.assign(entry, { size: file.size, sha256: file.sha256, chunks: chunksOf(file) });
  });
  const { packs, bytesStored, requests } = totals;
  const bytesRead = stored.reduce((sum, { file }) => sum + (file?.size ?? 0), 0);
  return { list: { entries, deleted: vanished, failed, skipped }, packs, bytesStored, requests, bytesRead };
}

/** The bytes to read of a batch, as the plan counts them. */
export function bytesListed(entries: SourceEntry[]): number {
  return entries.reduce((sum, entry) => sum + ('chunks' in entry ? 0 : entry.size), 0);
}

/** A file without a hash is a fragment, and its size is the offset where the fragment ends. */
export async function putPiece(
  { blobs }: Pick<EngineWork, 'blobs'>,
  { runRef, keys }: Pick<StoreRequest, 'runRef' | 'keys'>,
  name: string,
  { list, ...sums }: Stored,
  fragments: Fragment[],
): Promise<void> {
  const begun = fragments.map(({ entry, size, placements }) => ({ ...entry, size, chunks: chunksOf({ placements }) }));
  const all = { ...list, entries: [...list.entries, ...begun] };
  await blobs.put(workFolder(runRef) + name, encodeList(keys, aad(runRef, name), all, sums));
}

/** Everything in the pieces and in `last`, sorted. @throws VaultDamage when a piece is missing or altered */
export async function joinPieces(
  { blobs, proceed }: Pick<EngineWork, 'blobs' | 'proceed'>,
  { runRef, keys }: Pick<StoreRequest, 'runRef' | 'keys'>,
  pieces: Pieces[],
  last: Stored,
): Promise<Stored> {
  const joined = join();
  const names = pieces.flatMap(({ name, count }) => Array.from({ length: count }, (_, i) => `${name}-${i}`));
  for (let at = 0; at < names.length; at += readAtOnce) {
    const some = names.slice(at, at + readAtOnce);
    const read = await Promise.all(some.map((name) => blobs.get(workFolder(runRef) + name)));
    for (const [i, bytes] of read.entries()) {
      const name = some[i] as string;
      if (!bytes) throw new VaultDamage('encrypted', `the piece ${name} of ${runRef.runId} is missing`);
      const { list, more } = decodeList(keys, aad(runRef, name), bytes);
      joined.add({ list, ...(more as Sums) });
    }
    await proceed();
  }
  joined.add(last);
  const { entries, deleted, failed, skipped } = joined.all.list;
  for (const list of [entries, failed, skipped]) list.sort((a, b) => compareEntries(a.key, b.key));
  deleted.sort(compareEntries);
  return joined.all;
}

function join() {
  const begun = new Map<string, ChunkRef[]>();
  const all: Stored = {
    list: { entries: [], deleted: [], failed: [], skipped: [] },
    ...{ packs: [], bytesStored: 0, bytesRead: 0 },
    requests: { blobWrite: 0, recordRead: 0, recordWrite: 0 },
  };

  /** The chunks of the file up to this fragment or end. A reading that started again replaces the one before. */
  function whole({ key, size, chunks = [] }: StoredEntry): ChunkRef[] {
    const before = begun.get(key) ?? [];
    const start = size - lengthOf(chunks);
    if (start === 0) return chunks;
    if (start !== lengthOf(before))
      throw new VaultDamage('encrypted', 'the pieces of a file do not follow one another');
    for (const chunk of chunks) before.push(chunk);
    return before;
  }

  return {
    all,
    add({ list, packs, bytesStored, bytesRead, requests }: Stored): void {
      for (const entry of list.entries) {
        if (entry.kind !== 'file' || !entry.chunks) all.list.entries.push(entry);
        else if (entry.sha256 === undefined) begun.set(entry.key, whole(entry));
        else all.list.entries.push(Object.assign(entry, { chunks: whole(entry) }));
      }
      all.list.deleted.push(...list.deleted);
      all.list.failed.push(...list.failed);
      all.list.skipped.push(...list.skipped);
      all.packs.push(...packs);
      all.bytesStored += bytesStored;
      all.bytesRead += bytesRead;
      for (const kind of ['blobWrite', 'recordRead', 'recordWrite'] as const) all.requests[kind] += requests[kind];
    },
  };
}

function lengthOf(chunks: ChunkRef[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0);
}

function aad({ account, runId }: StoreRequest['runRef'], name: string): string {
  return `piece/${account}/${runId}/${name}`;
}
