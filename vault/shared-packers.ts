/** One packer per account for all batches of a process, so that small batches share packs. */
import type { VaultKeys } from './keys.ts';
import { openPacker, type Packer, type PackerOptions } from './packer.ts';

export type SharedPackers = {
  /** The account's packer. Call `release` when the batch has ended. The last release drops the packer and its keys. */
  take(account: string, keys: VaultKeys): { packer: Packer; release(): void };
};

export function sharedPackers(options: Omit<PackerOptions, 'account' | 'keys'>): SharedPackers {
  const held = new Map<string, { packer: Packer; users: number }>();
  return {
    take(account, keys) {
      const name = `${account}/${keys.epoch}`;
      const shared = held.get(name) ?? { packer: openPacker({ ...options, account, keys }), users: 0 };
      held.set(name, shared);
      shared.users++;
      let released = false;
      return {
        packer: shared.packer,
        release() {
          if (released) return;
          released = true;
          if (--shared.users === 0) held.delete(name);
        },
      };
    },
  };
}
