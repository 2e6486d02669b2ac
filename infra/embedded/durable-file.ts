/** Files that are on disk when a function here is done, and never visible in part. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Makes what names a directory holds survive a loss of power. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Makes a directory and those above it, readable by the owner only. */
export async function makeDirectory(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  for (let made = directory; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}

/**
 * Writes a file through a temporary one in `temporary`, a directory of the same file system. With `ifAbsent` an existing file stays
 * as it is and the answer is false. When the body fails nothing is left.
 */
export async function writeDurably(
  path: string,
  body: Uint8Array | AsyncIterable<Uint8Array>,
  { temporary, ifAbsent = false }: { temporary: string; ifAbsent?: boolean },
): Promise<boolean> {
  const unfinished = join(temporary, `${randomBytes(12).toString('hex')}.tmp`);
  try {
    await writeAll(unfinished, body);
    await makeDirectory(dirname(path));
    if (ifAbsent) {
      // A hard link fails where the name exists, whoever else tries at the same time
      if (!(await linked(unfinished, path))) return false;
    } else {
      await rename(unfinished, path);
    }
    await syncDirectory(dirname(path));
    return true;
  } finally {
    await unlink(unfinished).catch(() => undefined);
  }
}

async function writeAll(path: string, body: Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
  const handle = await open(path, 'wx', 0o600);
  try {
    if (body instanceof Uint8Array) await handle.writeFile(body);
    else for await (const part of body) await handle.writeFile(part);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function linked(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
