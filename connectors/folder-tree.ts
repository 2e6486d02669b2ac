/**
 * Opening what lies below a folder without ever being led out of it: each part of a path is opened by itself, from the handle of
 * the part before, and never through a link, so that a folder swapped for a link in between changes nothing. Node has no `openat`;
 * on Linux `/proc/self/fd/N/name` is one. Elsewhere paths are used, on macOS with O_NOFOLLOW_ANY; on others only the last part is
 * guarded.
 */
import { type BigIntStats, constants, existsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { keyBytes } from '../domain/entry.ts';
import { SourceProblem } from './connector.ts';

const throughHandles = process.platform === 'linux' && existsSync('/proc/self/fd');
/** From macOS's <sys/fcntl.h>; Node does not name it. */
const noFollowAny = process.platform === 'darwin' ? 0x20000000 : 0;
const noFollow = noFollowAny || constants.O_NOFOLLOW;
const slash = Buffer.from('/');

export type Directory = {
  stat: BigIntStats;
  /** A path to that name in this folder, good as long as the folder is open. */
  at(name: Uint8Array): Buffer;
  close(): Promise<void>;
};

/** A file or folder that may not be entered: it is ListBackup's own. */
export class OwnData extends Error {}

/** The folder at a path the user gave; links in it are followed, so check `at` where it ended up. @throws system errors */
export async function decryptRoot(path: string): Promise<Directory> {
  return asDirectory(await open(path, constants.O_RDONLY | constants.O_DIRECTORY), Buffer.from(path));
}

/** The folder of that name in the parent. @throws OwnData when it is one of `never` (see `identityOf`), system errors */
export async function openFolder(parent: Directory, name: Uint8Array, never: ReadonlySet<string>): Promise<Directory> {
  const path = parent.at(name);
  const directory = await asDirectory(await open(path, constants.O_RDONLY | constants.O_DIRECTORY | noFollow), path);
  if (!never.has(identityOf(directory.stat))) return directory;
  await directory.close();
  throw new OwnData();
}

/** The folder of that key (`''` is the root itself), opened part by part. @throws as `openFolder` */
export async function openBelow(root: Directory, key: string, never: ReadonlySet<string>): Promise<Directory> {
  let at = root;
  for (const part of key.split('/').slice(0, -1)) {
    const parent = at;
    try {
      at = await openFolder(parent, nameOf(part), never);
    } finally {
      if (parent !== root) await parent.close();
    }
  }
  return at;
}

/** Opens without waiting for anyone (a pipe would) and without following a link. @throws system errors */
export function openFile(parent: Directory, name: Uint8Array): Promise<FileHandle> {
  return open(parent.at(name), constants.O_RDONLY | constants.O_NONBLOCK | noFollow);
}

/** The bytes of one part of a key. @throws SourceProblem for a part that is no name */
export function nameOf(part: string): Uint8Array {
  if (!isName(part)) throw new SourceProblem('vanished', 'There can be no such name in a folder.');
  return keyBytes(part);
}

/** Whether it could be the name of something in a folder. */
export function isName(part: string): boolean {
  return part !== '' && part !== '.' && part !== '..' && !/[/\0]/.test(part);
}

/** The same for the same folder under whatever path, also through a bind mount. */
export function identityOf(stat: BigIntStats): string {
  return `${stat.dev}:${stat.ino}`;
}

/** The code of a system error, `''` for anything else. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

/** Errors that are about this machine and not about the file: they must not pass for an unreadable file. */
export function throwIfExhausted(error: unknown): void {
  if (['EMFILE', 'ENFILE', 'ENOMEM'].includes(systemCode(error))) {
    throw new SourceProblem(
      'unreachable',
      'This machine has too many files open at once. Raise its limit (ulimit -n), or run fewer jobs.',
      {
        retryable: true,
      },
    );
  }
}

async function asDirectory(handle: FileHandle, path: Buffer): Promise<Directory> {
  try {
    const stat = await handle.stat({ bigint: true });
    const base = throughHandles ? Buffer.from(`/proc/self/fd/${handle.fd}/`) : Buffer.concat([path, slash]);
    return { stat, at: (name) => Buffer.concat([base, name]), close: () => handle.close() };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
