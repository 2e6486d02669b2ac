/**
 * Forwards: the new positions of the chunks of a pack that was rewritten. Manifests are hashed into the log and keep
 * the old positions. A reader that misses a pack follows its forward.
 */
import type { ChunkRef } from '../domain/ports.ts';
import { VaultDamage } from './damage.ts';
import { decryptBytes } from './encrypted-bytes.ts';
import type { ReaderContext } from './metadata.ts';

export function forwardKey(account: string, pack: string): string {
  return `moved/${account}/${pack}`;
}

/** Slot and offset in the old pack, number of the new pack, then the new position. */
type Row = [number, number, number, number, number, number, number];
type Wire = { format: number; packs: string[]; chunks: Row[] };

const format = 1;

/** Gives the new position of a chunk of the pack. Undefined if the pack has no forward. @throws VaultDamage */
export async function readForward(
  { account, keys, blobs }: ReaderContext,
  pack: string,
): Promise<((ref: ChunkRef) => ChunkRef) | undefined> {
  const bytes = await blobs.get(forwardKey(account, pack));
  if (!bytes) return undefined;
  const wire: Wire = JSON.parse(Buffer.from(decryptBytes(keys, forwardKey(account, pack), bytes)).toString());
  if (wire.format !== format) throw new VaultDamage('pack', `the forward of ${pack} does not have format ${format}`);
  const rows = new Map(wire.chunks.map((row) => [`${row[0]} ${row[1]}`, row]));
  return ({ slot, offset, length }) => {
    const [, , number, newSlot, slotOffset, slotLength, newOffset] = rows.get(`${slot} ${offset}`) ?? [];
    const target = wire.packs[number ?? -1];
    if (target === undefined || newSlot === undefined || slotOffset === undefined || slotLength === undefined)
      throw new VaultDamage('pack', `the forward of ${pack} does not have a chunk of slot ${slot}`);
    return { pack: target, slot: newSlot, slotOffset, slotLength, offset: newOffset ?? 0, length };
  };
}
