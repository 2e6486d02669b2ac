/** Secrets of the embedded home: the environment, then a file in the data folder. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecretName, Secrets } from '../../domain/ports.ts';
import { codeOf, writeDurably } from './durable-file.ts';

const fileName = 'secrets.json';
const cacheMilliseconds = 5 * 60_000;

/**
 * `jwt-secret` and `jwt-refresh-secret` are made at first start, in a file of mode 0600 where others can be added by hand;
 * `LISTBACKUP_SECRET_JWT_SECRET` and the like in the environment win over it.
 */
export async function openSecrets(
  folder: string,
  environment: { [name: string]: string | undefined },
  now: () => number,
): Promise<Secrets> {
  const path = join(folder, fileName);
  const made = {
    'jwt-secret': randomBytes(48).toString('base64url'),
    'jwt-refresh-secret': randomBytes(48).toString('base64url'),
  };
  if (await readFile(path).then(() => false, isAbsent)) {
    await writeDurably(path, Buffer.from(`${JSON.stringify(made, null, 2)}\n`), { temporary: folder, ifAbsent: true });
  }
  let known = await read(path);
  let until = now() + cacheMilliseconds;

  return {
    async get(name) {
      const given = environment[`LISTBACKUP_SECRET_${name.toUpperCase().replaceAll('-', '_')}`];
      if (given) return given;
      if (now() >= until) {
        known = await read(path);
        until = now() + cacheMilliseconds;
      }
      return known[name];
    },
  };
}

function isAbsent(error: unknown): boolean {
  if (codeOf(error) === 'ENOENT') return true;
  throw error;
}

async function read(path: string): Promise<{ [name in SecretName]?: string }> {
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message would quote the secret
    throw new Error(`The ${fileName} of the data folder is not JSON: mend it, or remove it to have new secrets made.`);
  }
}
