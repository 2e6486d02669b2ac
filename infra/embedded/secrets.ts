/** The `Secrets` port: environment variables first, then a file in the data folder. */
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SecretName, Secrets } from '../../domain/ports.ts';
import { codeOf, writeDurably } from './durable-file.ts';

export const secretsFile = 'secrets.json';
const cacheMilliseconds = 5 * 60_000;

/**
 * Creates `jwt-secret` and `jwt-refresh-secret` at first start, in a file of mode 0600. Operators can add secrets to
 * the file. `LISTBACKUP_SECRET_JWT_SECRET` and similar variables override it.
 */
export async function openSecrets(
  folder: string,
  environment: { [name: string]: string | undefined },
  now: () => number,
): Promise<Secrets> {
  const path = join(folder, secretsFile);
  const initial = {
    'jwt-secret': randomBytes(48).toString('base64url'),
    'jwt-refresh-secret': randomBytes(48).toString('base64url'),
  };
  if (await readFile(path).then(() => false, isAbsent)) {
    await writeDurably(path, Buffer.from(`${JSON.stringify(initial, null, 2)}\n`), {
      temporary: folder,
      ifAbsent: true,
    });
  }
  let known = await read(path);
  let until = now() + cacheMilliseconds;

  return {
    async get(name) {
      const override = environment[`LISTBACKUP_SECRET_${name.toUpperCase().replaceAll('-', '_')}`];
      if (override) return override;
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
    // The message of the parser would quote the secret.
    throw new Error(
      `The ${secretsFile} of the data folder is not valid JSON. Correct it, or remove it to get new secrets.`,
    );
  }
}
