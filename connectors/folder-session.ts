/** A session with a folder. Loaded at the first `open` only. */
import { statSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, sep } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import ignore from 'ignore';
import { itemPosition, type ListItem } from '../domain/entry.ts';
import {
  type ConnectorContext,
  invalidSettings,
  type ListPage,
  pageAfter,
  positionAfter,
  SourceProblem,
  type SourceSession,
  temporary,
} from './connector.ts';
import { lookBelow, requireSameFolder } from './folder-look.ts';
import { frameMemory, type Parents, parentsBelow, readFrames } from './folder-read.ts';
import type { FolderConfig } from './folder-settings.ts';
import { type Directory, identityOf, openRoot, systemCode, throwIfExhausted } from './folder-tree.ts';
import { type Pending, pendingFolders, walk } from './folder-walk.ts';

type Allowed = NonNullable<ConnectorContext['folders']>;
type Blocking = NonNullable<ConnectorContext['blocking']>;

/** Throws Problem `invalid-input` for a folder that is not allowed. */
export async function startSession(
  settings: FolderConfig,
  allowed: Allowed,
  blocking: Blocking = () => {},
): Promise<SourceSession> {
  // A missing folder is not an error of the settings: it may be mounted later. `check` reports it.
  await touch(settings.path, blocking).catch(() => undefined);
  const real = await realpath(settings.path).catch(() => undefined);
  const refusal = real === undefined ? undefined : await refusalOf(real, allowed);
  if (refusal) throw invalidSettings([{ path: 'config.path', message: refusal }]);
  return sessionOf(settings, allowed, blocking);
}

/** A slow folder gives short pages, so that progress is seen (ms). */
const longestPageMs = 2000;
/** While a huge folder is read, the thread lets messages in after this time (ms). One of them may stop the listing. */
const turnMs = 50;

function sessionOf(settings: FolderConfig, allowed: Allowed, blocking: Blocking): SourceSession {
  let opened: Promise<Tree> | undefined;
  type Items = Generator<ListItem | null, void>;
  type Walker = { at: string | null; items: Items; ahead: ListItem | undefined; pending: Pending };
  let kept: Walker | undefined;
  let memory: Uint8Array | undefined;
  let isClosed = false;
  let lastTurn = performance.now();
  const requireOpen = (signal: AbortSignal | undefined) => {
    if (isClosed) throw temporary('unreachable', 'The session with the source was closed.');
    signal?.throwIfAborted();
  };
  /** After it, the session may be closed and the walk with it. A walk that was closed looks complete. */
  const pause = async (signal: AbortSignal | undefined) => {
    if (performance.now() - lastTurn >= turnMs) {
      blocking(false);
      await turn();
      lastTurn = performance.now();
      blocking(true);
    }
    requireOpen(signal);
  };
  const tree = (signal: AbortSignal | undefined) => {
    requireOpen(signal);
    opened ??= openTree(settings.path, allowed, blocking).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  const excluded = matcher(settings.exclude ?? []);

  return {
    async check({ signal } = {}) {
      signal?.throwIfAborted();
      const fresh = await openTree(settings.path, allowed, blocking);
      const nothing = { after: null, never: fresh.never, excluded: () => true, pending: pendingFolders() };
      const items = walk(fresh.root, nothing);
      try {
        while (items.next().value === null) await pause(signal);
      } catch (error) {
        throw rootProblem(error);
      } finally {
        blocking(false);
        items.return();
        fresh.close();
      }
    },

    async list(token, { limit, signal }): Promise<ListPage> {
      // Another listing may begin during a pause, so this one takes its walker.
      let walker = kept?.at === token ? kept : undefined;
      if (walker) kept = undefined;
      try {
        const { root, never } = await tree(signal);
        blocking(true);
        if (walker === undefined) {
          const after = token === null ? null : positionAfter(token);
          const pending = pendingFolders(after?.pending);
          walker = { at: token, items: walk(root, { after, never, excluded, pending }), ahead: undefined, pending };
        }
        const items: ListItem[] = [];
        let pending = 0;
        let next = walker.ahead ?? walker.items.next().value;
        const until = performance.now() + longestPageMs;
        while (next !== undefined && items.length < limit && (items.length === 0 || performance.now() < until)) {
          if (next) {
            items.push(next);
            pending = walker.pending.hash;
          } else await pause(signal);
          next = walker.items.next().value;
        }
        const last = items.at(-1);
        const page = next !== undefined && last ? pageAfter({ ...itemPosition(last), pending }) : null;
        if (page === null) return { items, page, since: null };
        kept?.items.return();
        kept = { ...walker, at: page, ahead: next ?? undefined };
        return { items, page, since: null };
      } catch (error) {
        walker?.items.return();
        throw rootProblem(error);
      } finally {
        blocking(false);
      }
    },

    async *read(requests, { signal } = {}) {
      const { parents } = await tree(signal);
      memory ??= frameMemory();
      const proceed = () => {
        blocking(true);
        requireOpen(signal);
      };
      try {
        for await (const frame of readFrames(parents, requests, memory, proceed)) {
          blocking(false);
          yield frame;
        }
      } finally {
        blocking(false);
      }
    },

    async look({ key }, { signal } = {}) {
      try {
        const { root, never, parents } = await tree(signal);
        blocking(true);
        // A later read must use the folder of this lookup, not a kept handle to a folder that was moved away.
        parents.forget();
        const entry = lookBelow(root, key, { never, excluded });
        if (entry === undefined) requireSameFolder(settings.path, root);
        return entry;
      } catch (error) {
        throw rootProblem(error);
      } finally {
        blocking(false);
      }
    },

    /** Only the inode: the device number may change with a restart. */
    async identity({ signal } = {}) {
      return String((await tree(signal)).root.stat.ino);
    },

    async close() {
      kept?.items.return();
      kept = undefined;
      isClosed = true;
      const closing = opened;
      opened = undefined;
      (await closing?.catch(() => undefined))?.close();
    },
  };
}

type Tree = { root: Directory; never: ReadonlySet<string>; parents: Parents; close(): void };

/**
 * A dead network mount blocks here. In a worker thread it blocks the thread, which is then replaced. Elsewhere it
 * blocks a thread of Node's pool.
 */
async function touch(path: string, blocking: Blocking): Promise<void> {
  if (isMainThread) return void (await stat(path));
  blocking(true);
  try {
    statSync(path);
  } finally {
    blocking(false);
  }
}

async function openTree(path: string, allowed: Allowed, blocking: Blocking): Promise<Tree> {
  try {
    await touch(path, blocking);
    const root = openRoot(path);
    try {
      // Checks the real path of the handle: `path` may lead elsewhere since it was opened.
      const refusal = await refusalOf(await realpath(root.at('')), allowed);
      if (refusal) throw new SourceProblem('forbidden', refusal);
      const own = await Promise.all(allowed.never.map((path) => stat(path).catch(() => undefined)));
      const never = new Set(own.filter((stats) => stats !== undefined).map(identityOf));
      const parents = parentsBelow(root, never);
      const close = () => {
        parents.forget();
        root.close();
      };
      return { root, never, parents, close };
    } catch (error) {
      root.close();
      throw error;
    }
  } catch (error) {
    throw rootProblem(error);
  }
}

/** Returns an error text if the folder may not be backed up. */
async function refusalOf(real: string, allowed: Allowed): Promise<string | undefined> {
  const never = await Promise.all(allowed.never.map(realOrAsIs));
  if (never.includes(real)) return 'This folder is the data folder of ListBackup. Choose another folder.';
  if (never.some((path) => isInside(path, real)))
    return 'This folder is inside the data folder of ListBackup. Choose another folder.';
  if (allowed.roots === 'any') return undefined;
  const roots = await Promise.all(allowed.roots.map(realOrAsIs));
  if (roots.some((root) => isInside(root, real))) return undefined;
  return 'This account may not back up this folder. Choose a folder below one in LISTBACKUP_FOLDERS.';
}

function realOrAsIs(path: string): Promise<string> {
  return realpath(path).catch(() => path);
}

function isInside(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function rootProblem(error: unknown): unknown {
  throwIfExhausted(error);
  const code = systemCode(error);
  if (code === '') return error;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const found =
      code === 'ENOENT' ? 'No folder exists at the path of this source.' : 'The path of this source is a file.';
    return temporary('not-found', `${found} Mount the disk, or connect the source again with the path of a folder.`);
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new SourceProblem(
      'forbidden',
      'ListBackup has no permission to read the folder of this source. Let its user read and search it.',
    );
  }
  return temporary('unreachable', `The folder of this source cannot be read (${code}). Check its disk or mount.`);
}

/** The library caches every answer without bound, so the matcher is replaced after this many. */
const maxCachedAnswers = 10_000;

function matcher(patterns: string[]): (key: string) => boolean {
  if (patterns.length === 0) return () => false;
  const create = () => ignore({ ignoreCase: false }).add(patterns);
  let rules = create();
  let answers = 0;
  return (key) => {
    if (++answers % maxCachedAnswers === 0) rules = create();
    return rules.ignores(key);
  };
}
