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

/** Has the same bytes as the key file, so that neither the loss of one file nor a bad write loses the master key. */
export const keyFileCopy = 'keys-copy.json';

type KeyFileOptions = {
  /** Whether a new key file may be made. Must be false once data exists that only the lost file can decrypt. */
  mayCreate?: () => boolean;
  /** Default: writes a lost file again from the other. */
  readOnly?: boolean;
};

/**
 * Reads the key file of a data folder, and makes one with mode 0600 where `mayCreate` allows it. Throws if the file and
 * its copy differ: one of them is damaged or belongs to another folder.
 */
export async function openKeyFile(
  folder: string,
  { mayCreate = () => false, readOnly = false }: KeyFileOptions,
): Promise<MachineKeys> {
  const names = [keyFile, keyFileCopy];
  const texts = await Promise.all(names.map((name) => textOf(join(folder, name))));
  const [text = mayCreate() ? newKeys() : undefined] = texts.filter((text) => text !== undefined);
  if (text === undefined)
    throw new Error(
      `The data folder has lost its ${keyFile}, and nothing can be read without it. Restore it from a copy.`,
    );
  if (texts.some((other) => other !== undefined && other !== text))
    throw new Error(
      `${keyFile} and ${keyFileCopy} of the data folder differ. One is damaged or belongs to another data folder. ` +
        `Restore the right keys.json from a copy and delete ${keyFileCopy}, or delete the wrong one of both.`,
    );
  const { master, signing } = parse(text);
  for (const [i, name] of names.entries()) {
    if (texts[i] === undefined && !readOnly)
      await writeDurably(join(folder, name), Buffer.from(text), { temporary: folder, ifAbsent: true });
  }
  const key = createPrivateKey(signing);
  return {
    derive: (purpose) => deriveKey(master, purpose),
    signing: key,
    publicKey: createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString(),
  };
}

async function textOf(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error) => {
    if (codeOf(error) !== 'ENOENT') throw error;
    return undefined;
  });
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
