/**
 * Metadata packs: blobs that hold the segments, nodes, name blocks and roots of manifests, each encrypted. Unchanged
 * objects stay in the packs of earlier manifests.
 */
import { hash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { base32 } from '../crypto/base32.ts';
import type { Blobs } from '../domain/ports.ts';
import { VaultDamage } from './damage.ts';
import { decryptBytes, decryptLarge, encryptBytes } from './encrypted-bytes.ts';
import type { VaultKeys } from './keys.ts';

/** Access to an account's vault. Reuse it for several reads, because readers cache by context. */
export type ReaderContext = { account: string; keys: VaultKeys; blobs: Blobs };

export type MetadataKind = 'segment' | 'node' | 'names' | 'root';

/** The byte range of an object in a metadata pack. `sha256` (hex) covers the encrypted bytes. */
export type MetadataRef = { pack: string; offset: number; length: number; sha256: string };

export function metadataKey(account: string, pack: string): string {
  return `manifests/${account}/${pack}`;
}

/** A pack is closed at this many bytes. */
const packSize = 8 * 1024 * 1024;

export type MetadataWriter = {
  /** Adds an object to the open pack. */
  add(kind: MetadataKind, bytes: Uint8Array): MetadataRef;
  /** Whether the open pack is full. */
  isFull(): boolean;
  /** Stores the open pack, with `trailer` at its end, and returns its id. When it resolves, the pack is durable. */
  close(trailer?: Uint8Array): Promise<string>;
  /** The id of the open pack. */
  pack(): string;
  /** Bytes stored so far, without the open pack. */
  bytesStored(): number;
};

/** `stored` is called with the size of each pack before (`uploading`) and after (`live`) its upload. */
export function openMetadataWriter(
  context: ReaderContext & { random(bytes: number): Uint8Array },
  note: (pack: string, state: 'uploading' | 'live', bytes: number) => Promise<void>,
): MetadataWriter {
  const { account, keys, blobs, random } = context;
  let open: { id: string; pieces: Uint8Array[]; length: number } | undefined;
  let total = 0;
  const current = () => {
    open ??= { id: `man_${base32(random(16))}`, pieces: [], length: 0 };
    return open;
  };
  return {
    add(kind, plain) {
      const into = current();
      const bytes = encryptBytes(keys, aad(kind, account, into.id, into.length), plain);
      const ref = { pack: into.id, offset: into.length, length: bytes.length, sha256: hash('sha256', bytes) };
      into.pieces.push(bytes);
      into.length += bytes.length;
      return ref;
    },
    isFull: () => open !== undefined && open.length >= packSize,
    pack: () => current().id,
    bytesStored: () => total,
    async close(trailer) {
      const { id, pieces } = current();
      open = undefined;
      const bytes = Buffer.concat(trailer ? [...pieces, trailer] : pieces);
      await note(id, 'uploading', bytes.length);
      await blobs.put(metadataKey(account, id), bytes, { ifAbsent: true });
      await note(id, 'live', bytes.length);
      total += bytes.length;
      return id;
    },
  };
}

/** Adjacent objects of one pack are read with one request of at most this size. */
const maxRead = 4 * 1024 * 1024;

/** The objects, decrypted, in order. @throws VaultDamage when one is missing or altered */
export async function* readMetadata(
  context: ReaderContext,
  kind: MetadataKind,
  refs: MetadataRef[],
): AsyncGenerator<Uint8Array> {
  for (let from = 0; from < refs.length; ) {
    const first = refs[from] as MetadataRef;
    let to = from + 1;
    let end = first.offset + first.length;
    for (let next = refs[to]; next?.pack === first.pack && next.offset === end; next = refs[++to]) {
      if (end + next.length - first.offset > maxRead) break;
      end += next.length;
    }
    const range = { offset: first.offset, length: end - first.offset };
    const bytes = await context.blobs.get(metadataKey(context.account, first.pack), range);
    if (!bytes) throw new VaultDamage('manifest', `${first.pack}, which holds a ${kind}, is missing`);
    for (const ref of refs.slice(from, to)) {
      const at = ref.offset - first.offset;
      yield await open(context, kind, ref, bytes.subarray(at, at + ref.length));
    }
    from = to;
  }
}

/** One object, decrypted. @throws VaultDamage when it is missing or altered */
export async function readOne(context: ReaderContext, kind: MetadataKind, ref: MetadataRef): Promise<Uint8Array> {
  for await (const bytes of readMetadata(context, kind, [ref])) return bytes;
  throw new Error('nothing was read');
}

async function open(
  { account, keys }: ReaderContext,
  kind: MetadataKind,
  ref: MetadataRef,
  bytes: Uint8Array,
): Promise<Uint8Array> {
  if (hash('sha256', bytes) !== ref.sha256)
    throw new VaultDamage('manifest', `the ${kind} at ${ref.offset} of ${ref.pack} was altered`);
  if (bytes.length > bytesPerTurn) await turn();
  const bound = aad(kind, account, ref.pack, ref.offset);
  return kind === 'names' ? decryptLarge(keys, bound, bytes) : decryptBytes(keys, bound, bytes);
}

/** Larger objects are hashed and decrypted in two turns of the event loop. */
const bytesPerTurn = 1024 * 1024;

function aad(kind: MetadataKind, account: string, pack: string, offset: number): string {
  return `${kind}/${account}/${pack}/${offset}`;
}
