/** Writes files durably: a file is on disk when its write resolves, and never visible in part. */
import { randomBytes } from 'node:crypto';
import { link, mkdir, open, rename, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** The names of temporary files. A crash may leave one. */
export const temporaryFile = /^[0-9a-f]{24}\.tmp$/;

/** Makes the entries of a directory survive a power loss. */
export async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Creates a directory and its missing parents, mode 0700. */
export async function makeDirectory(directory: string): Promise<void> {
  if (await isDirectory(directory)) return;
  const parent = dirname(directory);
  // Not mkdir's own `recursive`: it never returns where a file system refuses new folders with ENOENT, as /proc does.
  if (parent !== directory) await makeDirectory(parent);
  try {
    await mkdir(directory, { mode: 0o700 });
  } catch (error) {
    // Another writer may have created it meanwhile.
    if (codeOf(error) === 'EEXIST' && (await isDirectory(directory))) return;
    throw error;
  }
  await syncDirectory(parent);
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}

/**
 * Writes a file through a temporary file in `temporary`, a directory on the same file system.
 * With `ifAbsent`, keeps an existing file and returns false. If the body fails, leaves no file.
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
      // A hard link fails if the name exists, also when two writers race.
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

/** Gives a synced file its name, unless the name exists. Removes the old name. Both are on one file system. */
export async function moveDurably(from: string, to: string): Promise<void> {
  await makeDirectory(dirname(to));
  await linked(from, to);
  await unlink(from);
  await syncDirectory(dirname(to));
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

/** Returns the code of a system error, for example `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error ? String(error.code) : undefined;
}
