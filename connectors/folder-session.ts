/** A session with a folder. Loaded at the first `open` only. */
import { type FileHandle, realpath, stat } from 'node:fs/promises';
import { isAbsolute, relative, sep } from 'node:path';
import ignore from 'ignore';
import type { ListItem, SourceEntry } from '../domain/entry.ts';
import type { ByteRange } from '../domain/ports.ts';
import {
  afterOf,
  type ConnectorContext,
  invalidSettings,
  type ListPage,
  pageAfter,
  SourceProblem,
  type SourceSession,
} from './connector.ts';
import { lookBelow, requireSameFolder } from './folder-look.ts';
import { contentOf, freshMemory, openPinned, parentsBelow, pooledMemory } from './folder-read.ts';
import type { FolderConfig } from './folder-settings.ts';
import { identityOf, openRoot, systemCode, throwIfExhausted } from './folder-tree.ts';
import { walk } from './folder-walk.ts';

type Allowed = NonNullable<ConnectorContext['folders']>;

/** Throws Problem `invalid-input` for a folder that is not allowed. */
export async function startSession(settings: FolderConfig, allowed: Allowed): Promise<SourceSession> {
  // A missing folder is not an error of the settings: it may be mounted later. `check` reports it.
  const real = await realpath(settings.path).catch(() => undefined);
  const refusal = real === undefined ? undefined : await refusalOf(real, allowed);
  if (refusal) throw invalidSettings([{ path: 'config.path', message: refusal }]);
  return sessionOf(settings, allowed);
}

function sessionOf(settings: FolderConfig, allowed: Allowed): SourceSession {
  let opened: ReturnType<typeof openTree> | undefined;
  let walker: { at: string | null; items: AsyncGenerator<ListItem, void>; ahead: ListItem | undefined } | undefined;
  const openFiles = new Set<FileHandle>();
  const tree = () => {
    opened ??= openTree(settings.path, allowed).catch((error: unknown) => {
      opened = undefined;
      throw error;
    });
    return opened;
  };
  const excluded = matcher(settings.exclude ?? []);

  return {
    async check() {
      const fresh = await openTree(settings.path, allowed);
      try {
        await walk(fresh.root, { after: null, never: fresh.never, excluded: () => true }).next();
      } catch (error) {
        throw rootProblem(error);
      } finally {
        await fresh.close();
      }
    },

    async changes(cursor, { limit }): Promise<ListPage> {
      try {
        if (walker === undefined || walker.at !== cursor.page) {
          await walker?.items.return();
          const { root, never } = await tree();
          const after = cursor.page === null ? null : afterOf(cursor.page);
          walker = { at: cursor.page, items: walk(root, { after, never, excluded }), ahead: undefined };
        }
        const items: ListItem[] = [];
        let next = walker.ahead ?? (await walker.items.next()).value;
        while (next && items.length < limit) {
          items.push(next);
          next = (await walker.items.next()).value;
        }
        const last = items.at(-1);
        walker.ahead = next ?? undefined;
        walker.at =
          next && last !== undefined ? pageAfter(last.type === 'entry' ? last.entry.key : last.refusal.key) : null;
        const page = walker.at;
        if (page === null) walker = undefined;
        return { mode: 'full', items, page, since: null };
      } catch (error) {
        walker = undefined;
        throw rootProblem(error);
      }
    },

    async read(entry: SourceEntry, range?: ByteRange, { lend = false } = {}) {
      if (entry.kind !== 'file') throw new SourceProblem('unreadable', 'This is not a file, so it has no content.');
      const { parents } = await tree();
      const file = await openPinned(parents, entry);
      openFiles.add(file);
      const memory = lend ? pooledMemory : freshMemory;
      return contentOf(file, entry, range ?? { offset: 0, length: entry.size }, memory, () => openFiles.delete(file));
    },

    async look(key) {
      try {
        const { root, never, parents } = await tree();
        // A later read must use the folder of this lookup, not a kept handle to a folder that was moved away.
        await parents.forget();
        const entry = await lookBelow(root, key, { never, excluded });
        if (entry === undefined) await requireSameFolder(settings.path, root);
        return entry;
      } catch (error) {
        throw rootProblem(error);
      }
    },

    /** Only the inode: the device number may change with a restart. */
    async identity() {
      return String((await tree()).root.stat.ino);
    },

    describe: () => ({ identity: settings.path }),

    async close() {
      await walker?.items.return();
      walker = undefined;
      for (const file of openFiles) await file.close();
      const closing = opened;
      opened = undefined;
      await (await closing?.catch(() => undefined))?.close();
    },
  };
}

async function openTree(path: string, allowed: Allowed) {
  try {
    const root = await openRoot(path);
    try {
      // Checks the real path of the handle: `path` may lead elsewhere since it was opened.
      const refusal = await refusalOf(await realpath(root.at(new Uint8Array())), allowed);
      if (refusal) throw new SourceProblem('forbidden', refusal);
      const own = await Promise.all(allowed.never.map((path) => stat(path, { bigint: true }).catch(() => undefined)));
      const never = new Set(own.filter((stats) => stats !== undefined).map(identityOf));
      const parents = parentsBelow(root, never);
      return { root, never, parents, close: () => parents.forget().then(() => root.close()) };
    } catch (error) {
      await root.close();
      throw error;
    }
  } catch (error) {
    throw rootProblem(error);
  }
}

/** Returns why the folder may not be backed up, and what to do. Undefined if it may. */
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
    return new SourceProblem(
      'not-found',
      'No folder exists at the path of this source. Mount the disk, or connect the source again with the right path.',
      {
        retryable: true,
      },
    );
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new SourceProblem(
      'forbidden',
      'ListBackup has no permission to read the folder of this source. Let its user read and search it.',
    );
  }
  return new SourceProblem(
    'unreachable',
    `The folder of this source cannot be read (${code}). Check its disk or mount.`,
    { retryable: true },
  );
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
