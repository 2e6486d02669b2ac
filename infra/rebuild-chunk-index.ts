/**
 * Restores a chunk index from the footers of the packs. For any deployment. AWS does not need it: the index is in the
 * same table as the pack registry, and a position without its registered pack is not used.
 */
import { allOf } from '../domain/pages.ts';
import type { Blobs, ChunkIndex, Log } from '../domain/ports.ts';
import { VaultDamage } from '../vault/damage.ts';
import type { VaultKeys } from '../vault/keys.ts';
import { readPackIndex } from '../vault/pack.ts';

/** Where a rebuild that was interrupted goes on: the blob key of the last pack that is done. */
export type RebuildPosition = { load(): Promise<string | undefined>; save(key: string): Promise<void> };

export type RebuildTools = {
  blobs: Blobs;
  chunks: Pick<ChunkIndex, 'add'>;
  /** Undefined for an account that was erased. */
  keysOf(account: string): Promise<VaultKeys | undefined>;
  warn: Log['warn'];
  position: RebuildPosition;
};

/**
 * Returns the number of restored packs. It holds the chunks of one pack at a time. A pack that cannot be read is left
 * out: its content is stored again.
 */
export async function rebuildChunkIndex({ blobs, chunks, keysOf, warn, position }: RebuildTools): Promise<number> {
  const done = await position.load();
  let restored = 0;
  for await (const { key } of allOf((page) => blobs.list('packs/', page))) {
    if (done !== undefined && key <= done) continue;
    const [, account = '', , pack = ''] = key.split('/');
    const keys = await keysOf(account);
    if (!keys) continue;
    try {
      await chunks.add(account, await readPackIndex({ account, keys, blobs }, pack));
      restored++;
    } catch (error) {
      // Anything else may pass: the next rebuild tries again.
      if (!(error instanceof VaultDamage)) throw error;
      warn('a pack could not be added to the chunk index', { pack, reason: String(error) });
    }
    await position.save(key);
  }
  return restored;
}
