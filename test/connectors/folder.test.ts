import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import {
  appendFile,
  chmod,
  link,
  lutimes,
  mkdir,
  mkdtemp,
  open as openFd,
  readdir,
  realpath,
  rename,
  rm,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ConnectorContext, contentOf, type SourceSession } from '../../connectors/connector.ts';
import { folder } from '../../connectors/folder.ts';
import { restOfTick } from '../../connectors/folder-read.ts';
import { compareEntries, keyFromBytes, keyOf, type ListItem, parentOf, type SourceEntry } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import { connectorSuite, filesOf, problemOf, readWhole } from './suite.ts';

async function makeFolder(): Promise<string> {
  return realpath(await mkdtemp(join(tmpdir(), 'listbackup-folder-')));
}

connectorSuite('folder', async () => {
  const path = await makeFolder();
  return {
    connector: folder,
    config: { path },
    credentials: undefined,
    context: { folders: { roots: [path], never: [] }, allowHosts: [] },
    async put(key, content) {
      await mkdir(dirname(join(path, key)), { recursive: true });
      await writeFile(join(path, key), content);
    },
    remove: (key) => rm(join(path, key)),
    missing: { path: join(path, 'missing') },
    wrong: [
      { config: {}, field: 'config.path' },
      { config: { path: 'relative' }, field: 'config.path' },
      { config: { path: '/nul\0' }, field: 'config.path' },
      { config: { path: '/etc' }, field: 'config.path' },
      { config: { path, exclude: [''] }, field: 'config.exclude.0' },
    ],
    awkward: [
      ' leading and trailing ',
      '...',
      '..x',
      '-rf',
      'new\nline',
      'back\\slash',
      'per%20cent',
      'e\u0301',
      '\u00e9',
      '\u{1f680}',
      '\uffff',
      '\u0001',
      'x'.repeat(255),
      '*?[a]',
    ],
    dispose: () => rm(path, { recursive: true }),
  };
});

describe('folder connector', () => {
  let root: string;
  let outside: string;
  let sessions: SourceSession[];
  beforeEach(async () => {
    sessions = [];
    root = await makeFolder();
    outside = await makeFolder();
  });
  afterEach(async () => {
    vi.useRealTimers();
    for (const session of sessions) await session.close();
    // Node cannot remove a tree that is deeper than the longest path, rm can.
    execFileSync('rm', ['-rf', root, outside]);
  });

  const at = (key: string) => join(root, key);
  async function open(
    exclude?: string[],
    folders: ConnectorContext['folders'] = { roots: 'any', never: [] },
  ): Promise<SourceSession> {
    const session = await folder.open({ path: root, ...(exclude ? { exclude } : {}) }, undefined, {
      folders,
      allowHosts: [],
    });
    sessions.push(session);
    return session;
  }
  async function list(session: SourceSession, limit = 1_000, page: string | null = null): Promise<ListItem[]> {
    const items: ListItem[] = [];
    do {
      const result = await session.list(page, { limit });
      items.push(...result.items);
      page = result.page;
    } while (page !== null);
    return items;
  }
  async function file(session: SourceSession, key: string): Promise<SourceEntry> {
    const entry = filesOf(await list(session)).find((entry) => entry.key === key);
    if (entry === undefined) throw new Error(`${key} is not listed`);
    return entry;
  }
  const keys = (items: ListItem[]) =>
    items.map((item) => `${item.type === 'entry' ? item.entry.kind : item.type} ${keyOf(item)}`);

  describe('a huge folder', () => {
    const count = 2_500;
    const reason = new Error('the run was cancelled');
    beforeEach(async () => {
      await mkdir(at('huge'));
      await Promise.all(Array.from({ length: count }, (_, i) => writeFile(at(`huge/${i}`), '')));
    });
    const handles = async () => (await readdir('/proc/self/fd')).length;

    test.each([undefined, ['huge/*']])('ends its listing in the middle, with exclusions %s', async (exclude) => {
      const before = existsSync('/proc/self/fd') ? await handles() : undefined;
      // The calls of `blocking` are made after the session looked at the signal for the first time.
      let stop: AbortController | undefined;
      const context: ConnectorContext = {
        folders: { roots: 'any', never: [] },
        allowHosts: [],
        blocking: (isBlocking) => isBlocking && stop?.abort(reason),
      };
      const session = await folder.open({ path: root, ...(exclude && { exclude }) }, undefined, context);
      await session.identity?.();
      stop = new AbortController();
      await expect(session.list(null, { limit: 10_000, signal: stop.signal })).rejects.toBe(reason);
      expect(await list(session)).toHaveLength(exclude ? 1 : count + 1);
      await session.close();
      if (before !== undefined) expect(await handles()).toBe(before);
    });

    test('is listed whole by two listings at once, and fails when the session closes meanwhile', async () => {
      vi.useFakeTimers({ toFake: ['performance'] });
      const session = await open();
      await session.identity?.();
      // So the next pause lets others run.
      vi.advanceTimersByTime(1000);
      const pages = await Promise.all([1, 2].map(() => session.list(null, { limit: 10_000 })));
      for (const { items, page } of pages) expect([items.length, page]).toEqual([count + 1, null]);
      vi.advanceTimersByTime(1000);
      const listed = problemOf(session.list(null, { limit: 10_000 }));
      await Promise.resolve();
      await session.close();
      expect((await listed).message).toContain('closed');
    });
  });

  test('says while synchronous calls may block the thread, and never while others may run', async () => {
    const calls: boolean[] = [];
    const blocking = (isBlocking: boolean) => void calls.push(isBlocking);
    const context = { folders: { roots: 'any' as const, never: [] }, allowHosts: [], blocking };
    const session = await folder.open({ path: root }, undefined, context);
    sessions.push(session);
    await writeFile(at('small'), 'x');
    await writeFile(at('large'), Buffer.alloc(2_500_000));
    const expectBlocked = () => expect([calls.includes(true), calls.splice(0).at(-1)]).toEqual([true, false]);
    const entries = filesOf(await list(session));
    expectBlocked();
    for await (const _frame of session.read(entries.map((entry) => ({ entry })))) expectBlocked();
    expect(await session.look({ key: 'small' })).toMatchObject({ key: 'small' });
    expectBlocked();
    await expect(session.look({ key: 'missing/below' })).resolves.toBeUndefined();
    expectBlocked();
  });

  test('lists folders, empty folders, links and files by folder, then by the bytes of their names', async () => {
    await mkdir(at('a/empty'), { recursive: true });
    for (const name of ['a!', 'a.txt', 'a0', 'a/x']) await writeFile(at(name), name);
    await symlink('/etc', at('a/link'));
    await symlink('nowhere', at('dangling'));
    await chmod(at('a.txt'), 0o640);
    const items = await list(await open());
    expect(keys(items)).toEqual([
      'file a!',
      'file a.txt',
      'folder a/',
      'file a0',
      'link dangling',
      'folder a/empty/',
      'link a/link',
      'file a/x',
    ]);
    expect(items).toContainEqual({
      type: 'entry',
      entry: expect.objectContaining({ key: 'a/link', target: '/etc', size: 0 }),
    });
    expect(items).toContainEqual({
      type: 'entry',
      entry: expect.objectContaining({ key: 'a.txt', mode: 0o640, size: 5 }),
    });
  });

  test('lists names and link targets that are not UTF-8, and reads such files', async () => {
    const raw = (...parts: (string | number[])[]) =>
      Buffer.concat([Buffer.from(`${root}/`), ...parts.map((part) => Buffer.from(part as string))]);
    await mkdir(raw('d', [0xff]));
    await writeFile(raw('d', [0xff], '/', [0xe9, 0x74, 0xe9]), 'latin');
    await writeFile(raw([0xed, 0xb2, 0x80]), 'surrogate');
    await symlink(Buffer.from([0xfe]), raw('link'));
    const session = await open();
    for (const limit of [1, 10]) {
      const items = await list(session, limit);
      const expected = [
        [0x64, 0xff, 0x2f],
        [...Buffer.from('link')],
        [0xed, 0xb2, 0x80],
        [0x64, 0xff, 0x2f, 0xe9, 0x74, 0xe9],
      ];
      expect(items.map(keyOf)).toEqual(expected.map((bytes) => keyFromBytes(Buffer.from(bytes))));
      expect(items[1]).toMatchObject({ entry: { target: keyFromBytes(Buffer.from([0xfe])) } });
      const contents: string[] = [];
      for (const entry of filesOf(items)) contents.push(String(await readWhole(session, entry)));
      expect(contents).toEqual(['surrogate', 'latin']);
    }
  });

  test('skips pipes and sockets without opening them', async () => {
    execFileSync('mkfifo', [at('pipe')]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(at('socket'), resolve));
    await writeFile(at('z'), 'z');
    const session = await open();
    const items = await list(session);
    expect(items.slice(0, 2)).toMatchObject([
      { type: 'skipped', refusal: { key: 'pipe', code: 'pipe' } },
      { type: 'skipped', refusal: { key: 'socket', code: 'socket' } },
    ]);
    const entry = await file(session, 'z');
    await rm(at('z'));
    execFileSync('mkfifo', [at('z')]);
    expect((await problemOf(readWhole(session, entry))).code).toBe('changed');
    await new Promise((resolve) => server.close(resolve));
  });

  test('lists a folder that it cannot list as unlisted, fails unreadable files, and continues with the rest', async () => {
    for (const name of ['shut', 'blind', 'blind/sub']) await mkdir(at(name));
    for (const name of ['a', 'blind/x', 'blind/sub/y', 'shut/x', 'secret', 'z']) await writeFile(at(name), name);
    await chmod(at('shut'), 0);
    await chmod(at('blind'), 0o444);
    await chmod(at('secret'), 0);
    await chmod(root, 0o755);
    const session = await open();
    await asNobody(async () => {
      const items = await list(session);
      expect(keys(items)).toEqual([
        'file a',
        'folder blind/',
        'file secret',
        'folder shut/',
        'file z',
        'failed blind/sub/',
        'failed blind/x',
        'unlisted blind/sub/',
        'unlisted shut/',
      ]);
      for (const item of items.filter(({ type }) => type === 'failed' || type === 'unlisted'))
        expect(item).toMatchObject({ refusal: { code: 'unreadable' } });
      for (const limit of [1, 2, 3]) expect(await list(session, limit)).toEqual(items);
      const resumed: ListItem[] = [];
      let page: string | null = null;
      do {
        const next = await (await open()).list(page, { limit: 1 });
        resumed.push(...next.items);
        page = next.page;
      } while (page !== null);
      expect(resumed).toEqual(items);
      expect((await readWhole(session, await file(session, 'z'))).toString()).toBe('z');
      expect(await problemOf(readWhole(session, await file(session, 'secret')))).toMatchObject({
        code: 'unreadable',
        retryable: false,
      });
    });
    await chmod(root, 0o700);
    const shut = await open();
    await asNobody(async () =>
      expect(await problemOf(shut.check())).toMatchObject({ code: 'forbidden', retryable: false }),
    );
    for (const name of ['shut', 'blind']) await chmod(at(name), 0o755);
  });

  test('fails the listing when a folder becomes unreadable between pages', async () => {
    await mkdir(at('d'));
    for (const name of ['1', '2', '3']) await writeFile(at(`d/${name}`), name);
    await chmod(root, 0o755);
    const first = await (await open()).list(null, { limit: 2 });
    await chmod(at('d'), 0);
    const resumed = await open();
    await asNobody(async () => {
      expect(await problemOf(resumed.list(first.page, { limit: 10 }))).toMatchObject({
        code: 'unreadable',
        retryable: true,
      });
    });
    await chmod(at('d'), 0o755);
  });

  test('lists a folder as unlisted when it becomes unreadable before any of its entries is listed', async () => {
    await mkdir(at('d'));
    for (const name of ['a', 'd/1', 'e']) await writeFile(at(name), name);
    await chmod(root, 0o755);
    const first = await (await open()).list(null, { limit: 3 });
    expect(keys(first.items)).toEqual(['file a', 'folder d/', 'file e']);
    await chmod(at('d'), 0);
    const resumed = await open();
    await asNobody(async () => {
      const { items } = await resumed.list(first.page, { limit: 10 });
      expect(items).toMatchObject([{ type: 'unlisted', refusal: { key: 'd/', code: 'unreadable' } }]);
    });
    await chmod(at('d'), 0o755);
  });

  test('omits the files of a folder that is deleted between pages', async () => {
    await mkdir(at('d/e'), { recursive: true });
    for (const name of ['d/1', 'd/e/1', 'd/e/2', 'd/f', 'z/1']) {
      await mkdir(dirname(at(name)), { recursive: true });
      await writeFile(at(name), name);
    }
    const session = await open();
    const first = await session.list(null, { limit: 3 });
    expect(keys(first.items)).toEqual(['folder d/', 'folder z/', 'file d/1']);
    await rm(at('d'), { recursive: true });
    for (const resumed of [session, await open()]) {
      const rest = await resumed.list(first.page, { limit: 10 });
      // Prefetched items may still be listed. Reading them fails as vanished.
      expect(keys(rest.items).filter((key) => key !== 'folder d/e/' && key !== 'file d/f')).toEqual(['file z/1']);
    }
  });

  test('reports a root that is deleted or a file, and lists it again when it is back', async () => {
    const session = await open();
    await rm(root, { recursive: true });
    expect(await problemOf(session.check())).toMatchObject({ code: 'not-found' });
    await writeFile(root, 'a file');
    expect(await problemOf(session.list(null, { limit: 1 }))).toMatchObject({
      code: 'not-found',
    });
    await rm(root);
    await mkdir(root);
    expect(await list(session)).toEqual([]);
  });

  test('excludes paths like .gitignore', async () => {
    for (const name of [
      'a.tmp',
      'A.TMP',
      'keep.tmp',
      'cache/x',
      'd/cache/x',
      'd/node_modules/x',
      'd/a.tmp',
      'd/x',
      '.hidden',
      '...',
    ]) {
      await mkdir(dirname(at(name)), { recursive: true });
      await writeFile(at(name), name);
    }
    const items = await list(await open(['*.tmp', '!keep.tmp', '/cache', 'node_modules/', 'x/', '.h*', '# a comment']));
    expect(keys(items)).toEqual([
      'file ...',
      'file A.TMP',
      'folder d/',
      'file keep.tmp',
      'folder d/cache/',
      'file d/x',
      'file d/cache/x',
    ]);
  });

  test('opens folders only if the deployment allows them, below its roots, outside the data folder', async () => {
    const openWith = (path: string, folders: ConnectorContext['folders']) =>
      folder.open({ path }, undefined, { ...(folders ? { folders } : {}), allowHosts: [] }).then(
        async (session) => {
          sessions.push(session);
          await session.check();
          return 'fine';
        },
        (error: unknown) => (error instanceof Problem ? error.code : error),
      );
    const reasonFor = (path: string, folders: ConnectorContext['folders'] & object) =>
      folder
        .open({ path }, undefined, { folders, allowHosts: [] })
        .catch(({ errors }: Problem) => errors?.[0]?.message);
    await mkdir(at('inner/data/blobs'), { recursive: true });
    await symlink(outside, at('inner/out'));
    await symlink(root, join(outside, 'in'));
    expect(await openWith(root, undefined)).toBe('not-available');
    expect(await openWith(root, { roots: [], never: [] })).toBe('invalid-input');
    expect(await openWith(root, { roots: [root], never: [] })).toBe('fine');
    expect(await openWith(root, { roots: [join(outside, 'in')], never: [] })).toBe('fine');
    expect(await openWith(at('inner'), { roots: [root], never: [] })).toBe('fine');
    expect(await openWith(root, { roots: [at('inner')], never: [] })).toBe('invalid-input');
    expect(await openWith(root, { roots: [root.slice(0, -1)], never: [] })).toBe('invalid-input');
    expect(await openWith(at('inner/..'), { roots: [at('inner')], never: [] })).toBe('invalid-input');
    expect(await openWith(at('inner/out'), { roots: [root], never: [] })).toBe('invalid-input');
    for (const path of ['inner/data', 'inner/data/blobs'])
      expect(await openWith(at(path), { roots: 'any', never: [at('inner/data')] })).toBe('invalid-input');
    expect(await openWith(join(outside, 'in/inner/data'), { roots: 'any', never: [at('inner/data')] })).toBe(
      'invalid-input',
    );
    expect(await openWith('/', { roots: 'any', never: [] })).toBe('fine');
    const own = { roots: 'any', never: [at('inner/data')] } as const;
    expect(await reasonFor(at('inner/data'), own)).toMatch(/^This folder is the data folder of ListBackup\./);
    expect(await reasonFor(at('inner/data/blobs'), own)).toMatch(/^This folder is inside the data folder/);
    expect(await reasonFor(root, { roots: [at('inner')], never: [] })).toMatch(/^This account may not back up/);
  });

  test('does not follow a path that leads elsewhere after it was accepted', async () => {
    const session = await open(undefined, { roots: [root], never: [] });
    const inner = await folder.open({ path: at('inner') }, undefined, {
      folders: { roots: [root], never: [] },
      allowHosts: [],
    });
    sessions.push(inner);
    await symlink(outside, at('inner'));
    expect(await problemOf(inner.check())).toMatchObject({ code: 'forbidden', retryable: false });
    expect(keys(await list(session))).toEqual(['link inner']);
  });

  test('skips the data folder inside a source, also under another name', async () => {
    await mkdir(at('data/blobs'), { recursive: true });
    for (const name of ['data/key', 'data/blobs/x', 'other']) await writeFile(at(name), name);
    await symlink(at('data'), join(outside, 'alias'));
    const before = await file(await open(), 'data/key');
    for (const never of [at('data'), join(outside, 'alias')]) {
      const session = await open(undefined, { roots: 'any', never: [never] });
      expect(keys(await list(session))).toEqual(['skipped data/', 'file other']);
      expect(await problemOf(readWhole(session, before))).toMatchObject({ code: 'forbidden' });
    }
  });

  test('does not follow a link that replaced a folder, in reads and in listings', async () => {
    for (const path of [at('d/e'), join(outside, 'e')]) await mkdir(path, { recursive: true });
    await writeFile(at('d/e/f'), 'inside');
    await writeFile(at('e'), 'listed before the entries of d');
    // A hard link to the same file, so that the revision is equal.
    await link(at('d/e/f'), join(outside, 'e/f'));
    const session = await open();
    const entry = await file(session, 'd/e/f');
    const page = (await session.list(null, { limit: 1 })).page;
    await rename(at('d'), at('moved'));
    await symlink(outside, at('d'));
    expect(await problemOf(readWhole(session, entry))).toMatchObject({ code: 'changed' });
    expect(keys((await session.list(page, { limit: 10 })).items)).toEqual(['file e', 'unlisted d/']);
    expect(await problemOf((await open()).list(page, { limit: 10 }))).toMatchObject({ code: 'reset' });
  });

  test('lists no item without its folders when another session goes on after changes', async () => {
    const folders = ['a/', 'a/b/', 'a/b/c/', 'a/d/', 'c/', 'c/a/', 'd/'];
    let trees = 0;
    const foldersBelow = async (path: string) => {
      const children = await readdir(path, { recursive: true, withFileTypes: true });
      return children.flatMap((child) => (child.isDirectory() ? [join(child.parentPath, child.name)] : [])).sort();
    };
    const picks = fc.array(fc.constantFrom(...folders), { maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(picks, picks, picks, fc.nat(20), async (first, made, moved, steps) => {
        const base = at(`tree ${trees++}`);
        const make = async (path: string) => {
          await mkdir(join(base, path), { recursive: true });
          for (const name of ['e', 'f']) await writeFile(join(base, path, name), name);
        };
        for (const path of ['', ...first]) await make(path);
        const openTree = async () => {
          const session = await folder.open({ path: base }, undefined, {
            folders: { roots: [root], never: [join(base, 'c/a')] },
            allowHosts: [],
          });
          sessions.push(session);
          return session;
        };
        const items: ListItem[] = [];
        let page: string | null = null;
        const session = await openTree();
        for (let i = 0; i <= steps && (i === 0 || page !== null); i++) {
          const listed = await session.list(page, { limit: 1 });
          items.push(...listed.items);
          page = listed.page;
        }
        if (page === null) return;
        const before = await foldersBelow(base);
        await writeFile(join(base, 'e'), 'another file');
        for (const path of made) await make(path);
        for (const path of moved)
          if (existsSync(join(base, path))) await rename(join(base, path), join(base, `${path.slice(0, -1)} moved`));
        const isSame = isDeepStrictEqual(before, await foldersBelow(base));
        const problem = await list(await openTree(), 1_000, page).then(
          (more) => void items.push(...more),
          (error: unknown) => error,
        );
        if (problem) expect([isSame, problem]).toMatchObject([false, { code: 'reset' }]);
        const listed = new Set(items.map(keyOf));
        for (const item of items) expect(['', ...listed]).toContain(parentOf(keyOf(item)));
      }),
      { numRuns: 150 },
    );
  });

  test.each([
    ['grows', (path: string) => appendFile(path, 'more')],
    ['shrinks', (path: string) => truncate(path, 10)],
    ['is overwritten with the same size and times', overwriteAndRestoreTimes],
  ])('fails the read of a file that %s meanwhile', async (_how, change) => {
    await writeFile(at('file'), Buffer.alloc(4_000_000, 'before'));
    const session = await open();
    const entry = await file(session, 'file');
    let read = 0;
    const reading = (async () => {
      for await (const piece of contentOf(session, entry)) {
        if (read === 0) await change(at('file'));
        read += piece.length;
      }
    })();
    expect(await problemOf(reading)).toMatchObject({ code: 'changed', retryable: true });
    expect(read).toBeLessThan(4_000_000);
  });

  test('looks up links, folders, entries of a new type and excluded entries like a listing', async () => {
    await mkdir(at('data'));
    await mkdir(at('d/cache/e'), { recursive: true });
    for (const name of ['data/x', 'd/cache/e/f', 'd/x', 'z.tmp', 'to-pipe', 'to-folder', 'to-link', 'way/x']) {
      await mkdir(dirname(at(name)), { recursive: true });
      await writeFile(at(name), name);
    }
    await symlink('nowhere', at('link'));
    const session = await open(['*.tmp', 'cache/'], { roots: 'any', never: [at('data')] });
    for (const name of ['to-pipe', 'to-folder', 'to-link']) await rm(at(name));
    await rm(at('way'), { recursive: true });
    execFileSync('mkfifo', [at('to-pipe')]);
    await mkdir(at('to-folder'));
    await symlink('d/x', at('to-link'));
    await writeFile(at('way'), 'a file now');
    const listed = await list(session);
    expect(keys(listed)).toEqual([
      'folder d/',
      'skipped data/',
      'link link',
      'folder to-folder/',
      'link to-link',
      'skipped to-pipe',
      'file way',
      'file d/x',
    ]);
    for (const item of listed)
      expect(await session.look({ key: keyOf(item) })).toEqual(item.type === 'entry' ? item.entry : undefined);
    const others = [
      'data/x',
      'd',
      'd/cache/',
      'd/cache/e/',
      'd/cache/e/f',
      'z.tmp',
      'to-folder',
      'to-link/',
      'way/',
      'way/x',
    ];
    for (const key of [...others, '/', '.', '..', '../', './d/x', 'd/../way', 'd//x', 'nul\0'])
      expect(await session.look({ key })).toBeUndefined();
  });

  test('looks up a key in the current folder only, not through a link or in a moved folder', async () => {
    for (const path of [at('d'), outside]) await mkdir(path, { recursive: true });
    for (const path of [at('d/f'), join(outside, 'f')]) await writeFile(path, 'first');
    const session = await open();
    await readWhole(session, await file(session, 'd/f'));
    await rename(at('d'), at('moved'));
    await symlink(outside, at('d'));
    expect(await session.look({ key: 'd/f' })).toBeUndefined();
    await rm(at('d'));
    await mkdir(at('d'));
    await writeFile(at('d/f'), 'second');
    const entry = await session.look({ key: 'd/f' });
    expect(entry && (await readWhole(session, entry)).toString()).toBe('second');
  });

  test('reads a file in the current folder after another folder replaced the one of the last read', async () => {
    await mkdir(at('d'));
    await writeFile(at('d/f'), 'first');
    const session = await open();
    await readWhole(session, await file(session, 'd/f'));
    await rename(at('d'), at('moved'));
    await mkdir(at('d'));
    await writeFile(at('d/g'), 'second');
    const entry = await file(await open(), 'd/g');
    expect((await readWhole(session, entry)).toString()).toBe('second');
  });

  test('throws for a lookup in an unreadable or missing folder, never reports it as deleted', async () => {
    await mkdir(at('shut'));
    await writeFile(at('shut/x'), 'x');
    await chmod(root, 0o755);
    await chmod(at('shut'), 0);
    const session = await open();
    await asNobody(async () => expect((await problemOf(session.look({ key: 'shut/x' }))).code).toBe('unreadable'));
    await chmod(at('shut'), 0o755);
    expect(await session.look({ key: 'gone' })).toBeUndefined();
    await rm(root, { recursive: true });
    expect((await problemOf(session.look({ key: 'shut/x' }))).code).toBe('not-found');
    await mkdir(root);
    expect(await problemOf(session.look({ key: 'shut/x' }))).toMatchObject({ code: 'not-found', retryable: true });
  });

  test('has the same source identity in every session, and another one for another folder at the path', async () => {
    const identity = await (await open()).identity?.();
    expect(identity).toMatch(/./);
    expect(await (await open()).identity?.()).toBe(identity);
    const first = await open();
    await first.check();
    expect(await first.identity?.()).toBe(identity);
    await rename(root, join(outside, 'away'));
    await mkdir(root);
    expect(await (await open()).identity?.()).not.toBe(identity);
    expect(await first.identity?.()).toBe(identity);
    await rm(root, { recursive: true });
    expect(await problemOf((async () => (await open()).identity?.())())).toMatchObject({ code: 'not-found' });
    await mkdir(root);
  });

  test('waits with a read until the tick of the last change is over', () => {
    const second = 1_800_000_000_000;
    const fine = second + 123.456789;
    expect([0, 15, 19, 20, 9_000].map((age) => restOfTick(fine, second + 123 + age))).toEqual([20, 5, 1, 0, 0]);
    expect([0, 1_500, 2_000].map((age) => restOfTick(second, second + age))).toEqual([2_000, 500, 0]);
    expect(restOfTick(fine, second - 60_000)).toBe(0);
  });

  test('lists and reads a tree deeper than the longest path, with few open handles', async () => {
    const parts = Array.from({ length: 120 }, (_, depth) => `${String(depth).padStart(3, '0')}-${'x'.repeat(40)}`);
    const script = `const fs = require('fs');
      for (const part of process.argv.slice(1)) { fs.mkdirSync(part); process.chdir(part); fs.writeFileSync('zz', ''); }
      fs.writeFileSync('file', 'deep');`;
    execFileSync(process.execPath, ['-e', script, ...parts], { cwd: root });
    const session = await open();
    const handles = existsSync('/proc/self/fd')
      ? () => readdir('/proc/self/fd').then((fds) => fds.length)
      : async () => 0;
    const before = await handles();
    for (const limit of [7, 1_000]) {
      let maxHandles = 0;
      const items: ListItem[] = [];
      let page: string | null = null;
      do {
        const result = await session.list(page, { limit });
        items.push(...result.items);
        page = result.page;
        maxHandles = Math.max(maxHandles, (await handles()) - before);
      } while (page !== null);
      expect(items.length).toBe(241);
      expect(items.map(keyOf)).toEqual(items.map(keyOf).sort(compareEntries));
      expect(maxHandles).toBeLessThan(80);
    }
    const deep = filesOf(await list(session)).find((entry) => entry.size === 4);
    expect(deep?.key.length).toBeGreaterThan(4_096);
    if (deep !== undefined) expect((await readWhole(session, deep)).toString()).toBe('deep');
    await session.close();
    expect(await handles()).toBeLessThanOrEqual(before);
  });

  test('lists times outside the years 0 to 9999 as null', async () => {
    for (const name of ['ancient', 'far', 'future', 'old']) await writeFile(at(name), '');
    await symlink('x', at('link'));
    await utimes(at('ancient'), new Date(-1e9), new Date(-1e9));
    await utimes(at('far'), 300_000_000_000, 300_000_000_000);
    await utimes(at('future'), 4_000_000_000, 4_000_000_000);
    await lutimes(at('link'), 0, 0);
    // Before 1900, which Date.UTC takes for the years 0 to 99.
    await utimes(at('old'), new Date(-2_300_000_000_000), new Date(-2_300_000_000_000));
    const [ancient, far, future, link, old] = (await list(await open())).map((item) =>
      item.type === 'entry' ? item.entry.modifiedAt : item,
    );
    expect(ancient).toBe('1969-12-20T10:13:20.000Z');
    // Some file systems store their latest possible time instead.
    if (far !== null) expect(far).toMatch(/^\d{4}-/);
    expect([future, link]).toEqual(['2096-10-02T07:06:40.000Z', '1970-01-01T00:00:00.000Z']);
    // Some file systems store their earliest possible time instead, which is in 1901.
    expect(old).toMatch(/^(1897-02-11|1901-12-13)T/);
  });
});

/** Runs `act` as the user nobody, since root may read everything. */
async function asNobody(act: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return act();
  process.seteuid?.(65_534);
  try {
    await act();
  } finally {
    process.seteuid?.(0);
  }
}

async function overwriteAndRestoreTimes(path: string): Promise<void> {
  const handle = await openFd(path, 'r+');
  const { atime, mtime } = await handle.stat();
  await handle.write('after!', 3_000_000);
  await handle.utimes(atime, mtime);
  await handle.close();
}
