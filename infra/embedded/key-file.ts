/**
 * The key file of a data folder: the master key that wraps all account keys, and the signing key.
 * The file is enough to read all data in the folder.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deriveKey } from '../../crypto/hkdf.ts';
import { codeOf, writeDurably } from './durable-file.ts';

export type MachineKeys = {
  /** Derives a key of 32 bytes for one purpose from the master key (HKDF-SHA-256). */
  derive(purpose: string): Uint8Array;
  signing: KeyObject;
  publicKey: string;
};

export const keyFile = 'keys.json';

/**
 * Reads the key file of a data folder. If it is missing and `mayCreate` allows it, creates one with mode 0600.
 * The function `mayCreate` must return false once data exists that only the lost file can decrypt.
 */
export async function openKeyFile(folder: string, mayCreate: () => boolean): Promise<MachineKeys> {
  const path = join(folder, keyFile);
  const text = await readFile(path, 'utf8').catch(async (error) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    if (!mayCreate())
      throw new Error(
        `The data folder has lost its ${keyFile}, and nothing can be read without it. Restore it from a copy.`,
      );
    await writeDurably(path, Buffer.from(newKeys()), { temporary: folder, ifAbsent: true });
    return readFile(path, 'utf8');
  });
  const { master, signing } = parse(text);
  const key = createPrivateKey(signing);
  return {
    derive: (purpose) => deriveKey(master, purpose),
    signing: key,
    publicKey: createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString(),
  };
}

function newKeys(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const signing = privateKey.export({ type: 'pkcs8', format: 'pem' });
  return `${JSON.stringify({ master: randomBytes(32).toString('base64'), signing }, null, 2)}\n`;
}

function parse(text: string): { master: Uint8Array; signing: string } {
  try {
    const { master, signing } = JSON.parse(text);
    const bytes = Buffer.from(String(master), 'base64');
    if (bytes.length === 32 && typeof signing === 'string') return { master: bytes, signing };
  } catch {
    // The message of the parser would quote the secret.
  }
  throw new Error(`The ${keyFile} of the data folder is damaged. Restore it from a copy.`);
}
