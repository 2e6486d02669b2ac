/** Reads the content of a file, or a range of it, from its packs. */
import { createHash } from 'node:crypto';
import type { ByteRange, ChunkRef } from '../domain/ports.ts';
import { remembered } from './cache.ts';
import { VaultDamage } from './damage.ts';
import type { FoundEntry } from './entry.ts';
import { readForward } from './forward.ts';
import type { ReaderContext } from './metadata.ts';
import { decryptSlot, packBlobKey } from './pack.ts';

/** Adjacent slots are read with one request, up to this many bytes. */
const maxRead = 8 * 1024 * 1024;
/** Decrypted slots are cached, because the small files of a folder share them. */
const slots = remembered<Uint8Array>(32 * 1024 * 1024, (content) => content.length);

type Piece = { ref: ChunkRef; from: number; to: number };

/**
 * Yields the bytes of the range, clipped to the content. Without a range it yields all content, and verifies its
 * SHA-256 before the last piece.
 * @throws VaultDamage when stored data is missing or altered. It never yields wrong bytes.
 */
export async function* readFile(
  context: ReaderContext,
  entry: Pick<FoundEntry, 'key' | 'sha256' | 'chunks'>,
  range?: ByteRange,
): AsyncGenerator<Uint8Array> {
  const chunks = entry.chunks ?? [];
  if (range) {
    yield* contents(context, piecesOf(chunks, range));
    return;
  }
  const digest = createHash('sha256');
  let held: Uint8Array | undefined;
  for await (const piece of contents(context, piecesOf(chunks, { offset: 0, length: Number.POSITIVE_INFINITY }))) {
    if (held) yield held;
    digest.update(piece);
    held = piece;
  }
  if (entry.sha256 !== undefined && digest.digest('hex') !== entry.sha256) {
    throw new VaultDamage('file', 'the content joined from its chunks does not match the hash of the file');
  }
  if (held) yield held;
}

/**
 * Reads and verifies the whole file. Returns its size in bytes.
 * @throws VaultDamage when it cannot be restored as it was backed up
 */
export async function verifyFile(
  context: ReaderContext,
  entry: Pick<FoundEntry, 'key' | 'sha256' | 'chunks'>,
): Promise<number> {
  let size = 0;
  for await (const piece of readFile(context, entry)) size += piece.length;
  return size;
}

function piecesOf(chunks: ChunkRef[], range: ByteRange): Piece[] {
  const pieces: Piece[] = [];
  const end = range.offset + range.length;
  let start = 0;
  for (const ref of chunks) {
    const from = Math.max(0, range.offset - start);
    const to = Math.min(ref.length, end - start);
    if (from < to) pieces.push({ ref, from, to });
    start += ref.length;
  }
  return pieces;
}

async function* contents(context: ReaderContext, pieces: Piece[]): AsyncGenerator<Uint8Array> {
  const reads = coalesce(pieces);
  // The next read starts while this one is used.
  let ahead = reads[0] && decryptSlots(context, reads[0]);
  for (const [i, read] of reads.entries()) {
    let contentOf: Map<string, Uint8Array> | undefined;
    try {
      contentOf = await ahead;
    } catch (error) {
      // A chunk that is nowhere else is damage. Otherwise its pack was rewritten.
      const moved = error instanceof PackMissing ? await readForward(context, error.pack) : undefined;
      if (!moved) throw error;
      yield* contents(
        context,
        read.map((piece) => ({ ...piece, ref: moved(piece.ref) })),
      );
    }
    const following = reads[i + 1];
    ahead = following && decryptSlots(context, following);
    // The consumer may stop now, and then nothing awaits this read.
    ahead?.catch(() => {});
    if (!contentOf) continue;
    for (const { ref, from, to } of read) {
      const content = contentOf.get(slotName(ref));
      if (!content || ref.offset + ref.length > content.length)
        throw new VaultDamage('pack', `slot ${ref.slot} of ${ref.pack} is too short`);
      yield content.subarray(ref.offset + from, ref.offset + to);
    }
  }
}

/** Groups pieces whose slots are adjacent in one pack. */
function coalesce(pieces: Piece[]): Piece[][] {
  const reads: Piece[][] = [];
  for (const piece of pieces) {
    const read = reads.at(-1);
    const [first, last] = [read?.[0]?.ref, read?.at(-1)?.ref];
    const { pack, slot, slotOffset, slotLength } = piece.ref;
    const joins =
      first &&
      last?.pack === pack &&
      (last.slot === slot ||
        (last.slotOffset + last.slotLength === slotOffset && slotOffset + slotLength - first.slotOffset <= maxRead));
    if (joins) read?.push(piece);
    else reads.push([piece]);
  }
  return reads;
}

/** The decrypted slots of one read, by name. */
async function decryptSlots(context: ReaderContext, read: Piece[]): Promise<Map<string, Uint8Array>> {
  const refs = new Map(read.map(({ ref }) => [slotName(ref), ref]));
  const decrypted = new Map<string, Uint8Array>();
  let bytes: Promise<{ start: number; bytes: Uint8Array }> | undefined;
  for (const [name, ref] of refs) {
    const content = slots(context).get(name, async () => {
      bytes ??= fetchSlots(context, [...refs.values()]);
      const { start, bytes: all } = await bytes;
      const at = ref.slotOffset - start;
      return decryptSlot(context.keys, context.account, ref.pack, ref.slot, all.subarray(at, at + ref.slotLength));
    });
    decrypted.set(name, await content);
  }
  return decrypted;
}

async function fetchSlots(context: ReaderContext, refs: ChunkRef[]): Promise<{ start: number; bytes: Uint8Array }> {
  const [first, last] = [refs[0], refs.at(-1)];
  if (!first || !last) throw new Error('nothing to read');
  const start = first.slotOffset;
  const bytes = await context.blobs.get(packBlobKey(context.account, first.pack), {
    offset: start,
    length: last.slotOffset + last.slotLength - start,
  });
  if (!bytes) throw new PackMissing(first.pack);
  return { start, bytes };
}

class PackMissing extends VaultDamage {
  declare readonly pack: string;

  constructor(pack: string) {
    super('pack', `${pack} is missing`, pack);
  }
}

function slotName(ref: ChunkRef): string {
  return `${ref.pack} ${ref.slot} ${ref.slotOffset} ${ref.slotLength}`;
}
