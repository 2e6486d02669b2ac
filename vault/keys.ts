/** The keys of one account's vault. All come from its account key, so destroying that one erases everything at rest. */
import { deriveKey } from '../crypto/hkdf.ts';

/** Plain data, so that it can be handed to a worker thread. Every key has 32 bytes. */
export type VaultKeys = {
  /** The epoch that new packs and sealed bytes are written under; 1..65535. */
  epoch: number;
  /** Key of epoch n at n − 1. Old ones stay: what rests under them must still open. */
  epochKeys: Uint8Array[];
  /** These three decide names and borders, not secrecy of content: rotating them would undo deduplication, so they never rotate. */
  chunkId: Uint8Array;
  gear: Uint8Array;
  border: Uint8Array;
  /** File ids live in clients' bookmarks, so their keys do not rotate either. */
  fileIdMac: Uint8Array;
  fileIdCipher: Uint8Array;
};

/** HKDF-SHA-256 (RFC 5869) without salt; each purpose has its own info label. The same account key gives the same keys, for ever. */
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
  };
}

/** Undefined when these keys do not know the epoch. */
export function epochKey(keys: VaultKeys, epoch: number): Uint8Array | undefined {
  return keys.epochKeys[epoch - 1];
}
