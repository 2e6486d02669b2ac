/** A folder as it is listed and read. Its code is read when a folder is first opened. */
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
import { lookBelow, mustBeAt } from './folder-look.ts';
import { contentOf, fresh, openPinned, parentsBelow, used } from './folder-read.ts';
import type { FolderConfig } from './folder-settings.ts';
import { decryptRoot, identityOf, systemCode, throwIfExhausted } from './folder-tree.ts';
import { walk } from './folder-walk.ts';

type Allowed = NonNullable<ConnectorContext['folders']>;

/** Throws Problem `invalid-input` for a folder that is not among those allowed. */
export async function startSession(settings: FolderConfig, allowed: Allowed): Promise<SourceSession> {
  // A folder that is not there (yet) is the source's trouble, not the settings'.
  const real = await realpath(settings.path).catch(() => undefined);
  if (real !== undefined && !(await isAllowed(real, allowed))) {
    const message =
      'This folder may not be backed up: choose one below the allowed roots (LISTBACKUP_FOLDERS), outside the data folder.';
    throw invalidSettings([{ path: 'config.path', message }]);
  }
  return sessionOf(settings, allowed);
}

function sessionOf(settings: FolderConfig, allowed: Allowed): SourceSession {
  let opened: ReturnType<typeof openTree> | undefined;
  let walker: { at: string | null; items: AsyncGenerator<ListItem, void>; ahead: ListItem | undefined } | undefined;
  const open = new Set<FileHandle>();
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
      if (entry.kind !== 'file') throw new SourceProblem('unreadable', 'Only files have content.');
      const { parents } = await tree();
      const file = await openPinned(parents, entry);
      open.add(file);
      const memory = lend ? used : fresh;
      return contentOf(file, entry, range ?? { offset: 0, length: entry.size }, memory, () => open.delete(file));
    },

    async look(key) {
      try {
        const { root, never, parents } = await tree();
        // Reads after this must meet the folder that was looked into, not one that was moved away meanwhile.
        await parents.forget();
        const entry = await lookBelow(root, key, { never, excluded });
        if (entry === undefined) await mustBeAt(settings.path, root);
        return entry;
      } catch (error) {
        throw rootProblem(error);
      }
    },

    /** The inode alone: a device may have another number after a restart. */
    async identity() {
      return String((await tree()).root.stat.ino);
    },

    describe: () => ({ identity: settings.path }),

    async close() {
      await walker?.items.return();
      walker = undefined;
      for (const file of open) await file.close();
      const held = opened;
      opened = undefined;
      await (await held?.catch(() => undefined))?.close();
    },
  };
}

async function openTree(path: string, allowed: Allowed) {
  try {
    const root = await decryptRoot(path);
    try {
      // Where the handle really is, whatever the path has become since.
      if (!(await isAllowed(await realpath(root.at(new Uint8Array())), allowed))) {
        throw new SourceProblem(
          'forbidden',
          'The path of this source leads to a folder that may not be backed up. Correct its `path`.',
        );
      }
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

async function isAllowed(real: string, allowed: Allowed): Promise<boolean> {
  const never = await Promise.all(allowed.never.map(realOrAsIs));
  if (never.some((path) => isInside(path, real))) return false;
  return (
    allowed.roots === 'any' || (await Promise.all(allowed.roots.map(realOrAsIs))).some((root) => isInside(root, real))
  );
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
      'There is no folder at the path of this source. Mount it, or correct its `path`.',
      {
        retryable: true,
      },
    );
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new SourceProblem(
      'forbidden',
      'ListBackup is not permitted to read the folder of this source: let its user read and search it.',
    );
  }
  return new SourceProblem('unreachable', `The folder of this source cannot be read (${code}).`, { retryable: true });
}

/** How often a matcher is made anew: it remembers every answer it gave. */
const answersKept = 10_000;

function matcher(patterns: string[]): (key: string) => boolean {
  if (patterns.length === 0) return () => false;
  const fresh = () => ignore({ ignoreCase: false }).add(patterns);
  let rules = fresh();
  let asked = 0;
  return (key) => {
    if (++asked % answersKept === 0) rules = fresh();
    return rules.ignores(key);
  };
}
