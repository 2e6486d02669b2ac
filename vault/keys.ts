/** The keys of one account's vault. All derive from the account key, so destroying that key erases the whole vault. */
import { deriveKey } from '../crypto/hkdf.ts';
import { VaultDamage } from './damage.ts';

/** Plain data, so that it can be posted to a worker thread. Every key has 32 bytes. */
export type VaultKeys = {
  /** The epoch of new packs and encrypted bytes: 1 to 65,535. */
  epoch: number;
  /** The key of epoch n is at n − 1. Old keys stay, to decrypt older data. */
  epochKeys: Uint8Array[];
  /**
   * The next three keys never rotate, because that would undo deduplication. They decide chunk ids and borders, not the
   * secrecy of content.
   */
  chunkId: Uint8Array;
  gear: Uint8Array;
  border: Uint8Array;
  /** The keys of file ids never rotate either, because clients keep file ids. */
  fileIdMac: Uint8Array;
  fileIdCipher: Uint8Array;
  /** Of exports, which live for a day. */
  exports: Uint8Array;
};

/** HKDF-SHA-256 (RFC 5869) without salt, with one info label for each purpose. Deterministic. */
export function deriveVaultKeys(accountKey: Uint8Array, epoch = 1): VaultKeys {
  if (accountKey.length !== 32) throw new Error('an account key has 32 bytes');
  const derive = (label: string) => deriveKey(accountKey, `listbackup/vault/1/${label}`);
  return {
    epoch,
    epochKeys: Array.from({ length: epoch }, (_, i) => derive(`epoch/${i + 1}`)),
    chunkId: derive('chunk-id'),
    gear: derive('gear'),
    border: derive('border'),
    fileIdMac: derive('file-id/mac'),
    fileIdCipher: derive('file-id/cipher'),
    exports: derive('exports'),
  };
}

/** @throws VaultDamage for an unknown epoch. `name`: what its key encrypts. */
export function epochKey(keys: VaultKeys, epoch: number, name: string): Uint8Array {
  const key = keys.epochKeys[epoch - 1];
  if (!key) throw new VaultDamage(name, `it is encrypted with the unknown key epoch ${epoch}`);
  return key;
}
