/** The machine's own keys: the master that wraps all others, and the one it signs with. Whoever has the file can read everything. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { deriveKey } from '../../crypto/hkdf.ts';
import { codeOf, writeDurably } from './durable-file.ts';

export type MachineKeys = {
  /** A key of 32 bytes for one purpose, derived from the master. */
  derive(purpose: string): Uint8Array;
  signing: KeyObject;
  publicKey: string;
};

const name = 'keys.json';

/** Reads the key file of a data folder (0600), or makes it when `mayMake`: otherwise data exists that only the lost file opens. */
export async function openKeyFile(folder: string, mayMake: () => boolean): Promise<MachineKeys> {
  const path = join(folder, name);
  const text = await readFile(path, 'utf8').catch(async (error) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    if (!mayMake())
      throw new Error(
        `The data folder has lost its ${name}, without which nothing in it can be read: put it back from where you keep a copy.`,
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
    // The parser's message would quote the secret
  }
  throw new Error(`The ${name} of the data folder is damaged: put it back from where you keep a copy.`);
}
