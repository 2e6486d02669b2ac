/**
 * Opens files and folders below a root and never leaves it. It opens each part of a path from the handle of its parent
 * and follows no link. So replacing a folder by a link gains an attacker nothing. All calls are synchronous, because a
 * trip to the thread pool takes longer than most of them. So they belong in a worker thread.
 *
 * Node has no `openat`. On Linux, `/proc/self/fd/N/name` does the same. macOS uses paths with O_NOFOLLOW_ANY. On other
 * systems only the last part is safe from links.
 */
import { closeSync, constants, existsSync, fstatSync, openSync, type Stats } from 'node:fs';
import { isAscii, keyBytes, keyFromBytes } from '../domain/entry.ts';
import { SourceProblem, temporary } from './connector.ts';

const throughHandles = process.platform === 'linux' && existsSync('/proc/self/fd');
/** O_NOFOLLOW_ANY from <sys/fcntl.h> of macOS. Node has no constant for it. */
const noFollowAny = process.platform === 'darwin' ? 0x20000000 : 0;
const noFollow = noFollowAny || constants.O_NOFOLLOW;

export type Directory = {
  stat: Stats;
  /** A path to `name` in this folder, valid while the folder is open. */
  at(name: string): string | Buffer;
  close(): void;
};

/** The folder is a data folder of ListBackup, which is never backed up. */
export class OwnData extends Error {}

/** Opens the path from the settings. It follows links, so the caller must check the real path. @throws system errors */
export function openRoot(path: string): Directory {
  return asDirectory(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY), Buffer.from(path));
}

/** Opens a folder in `parent`. @throws OwnData if `never` has its `identityOf`, system errors */
export function openFolder(parent: Directory, name: string, never: ReadonlySet<string>): Directory {
  const path = parent.at(name);
  const directory = asDirectory(openSync(path, constants.O_RDONLY | constants.O_DIRECTORY | noFollow), path);
  if (!never.has(identityOf(directory.stat))) return directory;
  directory.close();
  throw new OwnData();
}

/** Opens the folder with that key part by part. `''` is the root itself. @throws as `openFolder` */
export function openBelow(root: Directory, key: string, never: ReadonlySet<string>): Directory {
  let at = root;
  for (const part of key.split('/').slice(0, -1)) {
    const parent = at;
    try {
      at = openFolder(parent, nameOf(part), never);
    } finally {
      if (parent !== root) parent.close();
    }
  }
  return at;
}

/**
 * Opens a file without following a link, and returns its descriptor. Does not block, even on a pipe. @throws system
 * errors
 */
export function openFile(parent: Directory, name: string): number {
  return openSync(parent.at(name), constants.O_RDONLY | constants.O_NONBLOCK | noFollow);
}

/**
 * The name of one part of a key as the file system has it: a string with one character for each byte.
 * @throws SourceProblem if no file can have that name
 */
export function nameOf(part: string): string {
  if (!isName(part)) throw new SourceProblem('vanished', 'No file can have this name.');
  return isAscii(part) ? part : Buffer.from(keyBytes(part)).toString('latin1');
}

/** The reverse of `nameOf`. */
export function partOf(name: string): string {
  return isAscii(name) ? name : keyFromBytes(Buffer.from(name, 'latin1'));
}

/** Whether a file or folder can have this name. */
export function isName(part: string): boolean {
  return part !== '' && part !== '.' && part !== '..' && !/[/\0]/.test(part);
}

/** Device and inode: equal for one folder under different paths, also through a bind mount. */
export function identityOf(stat: Pick<Stats, 'dev' | 'ino'>): string {
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
    throw temporary(
      'unreachable',
      'The machine that runs ListBackup is out of file handles or memory. Raise ulimit -n, or run fewer jobs at once.',
    );
  }
}

function asDirectory(fd: number, path: string | Buffer): Directory {
  try {
    const base = throughHandles ? `/proc/self/fd/${fd}/` : `${Buffer.from(path).toString('latin1')}/`;
    const isPlain = isAscii(base);
    return {
      stat: fstatSync(fd),
      at: (name) => (isPlain && isAscii(name) ? base + name : Buffer.from(base + name, 'latin1')),
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}
