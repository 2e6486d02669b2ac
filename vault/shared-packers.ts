/** One packer an account for all the batches of a process, so that small batches share packs. */
import type { VaultKeys } from './keys.ts';
import { openPacker, type Packer, type PackerOptions } from './packer.ts';

export type SharedPackers = {
  /** The account's packer, to be given back by `release` once the batch has ended; the last one to do so lets it (and the keys in it) go. */
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
