/**
 * Opens files and folders below a root and never leaves it. It opens each part of a path from the handle of its parent
 * and follows no link. So replacing a folder by a link gains an attacker nothing.
 *
 * Node has no `openat`. On Linux, `/proc/self/fd/N/name` does the same. macOS uses paths with O_NOFOLLOW_ANY. On other
 * systems only the last part is safe from links.
 */
import { type BigIntStats, constants, existsSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { keyBytes } from '../domain/entry.ts';
import { SourceProblem } from './connector.ts';

const throughHandles = process.platform === 'linux' && existsSync('/proc/self/fd');
/** O_NOFOLLOW_ANY from <sys/fcntl.h> of macOS. Node has no constant for it. */
const noFollowAny = process.platform === 'darwin' ? 0x20000000 : 0;
const noFollow = noFollowAny || constants.O_NOFOLLOW;
const slash = Buffer.from('/');

export type Directory = {
  stat: BigIntStats;
  /** A path to `name` in this folder, valid while the folder is open. */
  at(name: Uint8Array): Buffer;
  close(): Promise<void>;
};

/** The folder is a data folder of ListBackup, which is never backed up. */
export class OwnData extends Error {}

/** Opens the path from the settings. It follows links, so the caller must check the real path. @throws system errors */
export async function openRoot(path: string): Promise<Directory> {
  return asDirectory(await open(path, constants.O_RDONLY | constants.O_DIRECTORY), Buffer.from(path));
}

/** Opens a folder in `parent`. @throws OwnData if `never` has its `identityOf`, system errors */
export async function openFolder(parent: Directory, name: Uint8Array, never: ReadonlySet<string>): Promise<Directory> {
  const path = parent.at(name);
  const directory = await asDirectory(await open(path, constants.O_RDONLY | constants.O_DIRECTORY | noFollow), path);
  if (!never.has(identityOf(directory.stat))) return directory;
  await directory.close();
  throw new OwnData();
}

/** Opens the folder with that key part by part. `''` is the root itself. @throws as `openFolder` */
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

/** Opens a file without following a link. Does not block, even on a pipe. @throws system errors */
export function openFile(parent: Directory, name: Uint8Array): Promise<FileHandle> {
  return open(parent.at(name), constants.O_RDONLY | constants.O_NONBLOCK | noFollow);
}

/** The bytes of one part of a key. @throws SourceProblem if no file can have that name */
export function nameOf(part: string): Uint8Array {
  if (!isName(part)) throw new SourceProblem('vanished', 'No file can have this name.');
  return keyBytes(part);
}

/** Whether a file or folder can have this name. */
export function isName(part: string): boolean {
  return part !== '' && part !== '.' && part !== '..' && !/[/\0]/.test(part);
}

/** Device and inode: equal for one folder under different paths, also through a bind mount. */
export function identityOf(stat: BigIntStats): string {
  return `${stat.dev}:${stat.ino}`;
}

/** The code of a system error, `''` for anything else. */
export function systemCode(error: unknown): string {
  return error instanceof Error && 'syscall' in error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : '';
}

/** Throws for errors of the machine, which must not count as an unreadable file. @throws SourceProblem `unreachable` */
export function throwIfExhausted(error: unknown): void {
  if (['EMFILE', 'ENFILE', 'ENOMEM'].includes(systemCode(error))) {
    throw new SourceProblem(
      'unreachable',
      'The machine that runs ListBackup is out of file handles or memory. Raise ulimit -n, or run fewer jobs at once.',
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
