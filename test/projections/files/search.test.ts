import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys } from '../../../domain/entry.ts';
import { type FilesPosition, readerContext } from '../../../projections/files/listing.ts';
import { type FilesSearch, searchFiles } from '../../../projections/files/search.ts';
import { fold } from '../../../vault/names.ts';
import { openManifest } from '../../../vault/reader.ts';
import { searchKeys } from '../../../vault/search.ts';
import { testPlatform } from '../../support/api.ts';
import { makeBackupChain, type Things } from '../../support/backups.ts';
import { countTurns } from '../../support/turns.ts';

const account = 'acc_ada';
const jan = '2026-01-02T03:04:06.000Z';

async function box(things: Things) {
  const platform = await testPlatform();
  const backupChain = makeBackupChain(platform, account);
  await backupChain.backUp(things);
  const all = async (search: Partial<FilesSearch>, page: { limit?: number; work?: number } = {}) => {
    const paths: string[] = [];
    let pages = 0;
    for (let position: FilesPosition | null | undefined; position !== null; pages++) {
      const found = await searchFiles(
        platform,
        account,
        { query: '', ...search },
        { limit: 50, ...page, ...(position && { position }) },
      );
      paths.push(...found.items.map(({ path }) => path));
      position = found.next;
    }
    return { paths, pages };
  };
  const paths = async (search: Partial<FilesSearch>) => (await all(search)).paths;
  return { platform, backupChain, all, paths };
}

describe('search', () => {
  it('finds each word anywhere in the path, without regard to case and accents', async () => {
    const { paths } = await box({
      'Été/Rapport final.PDF': 'x',
      'ete/photo.png': 'x',
      'Straße/ΟΔΟΣ.txt': 'x',
      'e\u0301te/decomposed': 'x',
      'docs/': null,
    });
    expect(await paths({ query: 'été' })).toEqual(['ete/photo.png', 'e\u0301te/decomposed', 'Été/Rapport final.PDF']);
    expect(await paths({ query: '  FINAL   ete ' })).toEqual(['Été/Rapport final.PDF']);
    expect(await paths({ query: 'strasse' })).toEqual(['Straße/ΟΔΟΣ.txt']);
    expect(await paths({ query: 'οδοσ' })).toEqual(['Straße/ΟΔΟΣ.txt']);
    expect(await paths({ query: 'ete missing' })).toEqual([]);
    expect(await paths({ query: 'doc' })).toEqual(['docs']);
  });

  it('folds ASCII text on the fast path to the same result as on the slow path', () => {
    const plain = Array.from({ length: 95 }, (_, code) => String.fromCharCode(32 + code)).join('');
    expect(fold(plain)).toBe(fold(`${plain}é`).slice(0, -1));
  });

  it('filters by MIME type, group, file name extension and kind', async () => {
    const { paths } = await box({
      'a.png': 'x',
      'b.JPG': 'x',
      'c.pdf': 'x',
      'd.tar.gz': 'x',
      'e/': null,
      'e/said.bin': { mimeType: 'text/html; charset=utf-8', size: 0 },
      'f.png': { kind: 'link', target: 'a.png' },
      pdf: 'x',
    });
    expect(await paths({ types: ['image'] })).toEqual(['a.png', 'b.JPG']);
    expect(await paths({ types: ['Image/*'] })).toEqual(['a.png', 'b.JPG']);
    expect(await paths({ types: ['image/png'] })).toEqual(['a.png']);
    expect(await paths({ types: ['pdf'] })).toEqual(['c.pdf']);
    expect(await paths({ types: ['.PDF', 'tar.gz'] })).toEqual(['c.pdf', 'd.tar.gz']);
    expect(await paths({ types: ['text/html'] })).toEqual(['e/said.bin']);
    expect(await paths({ types: ['text'] })).toEqual(['e/said.bin']);
    expect(await paths({ types: ['folder'] })).toEqual(['e']);
    expect(await paths({ types: ['link', 'folder'] })).toEqual(['e', 'f.png']);
    expect(await paths({ types: ['file'], query: 'pdf' })).toEqual(['c.pdf', 'pdf']);
  });

  it('filters files by size with inclusive bounds, and entries by a half-open time range', async () => {
    const { paths } = await box({
      'a/': null,
      none: '',
      ten: '0123456789',
      dateless: { modifiedAt: null },
      old: { modifiedAt: '2020-05-05T00:00:00.000Z' },
    });
    expect(await paths({ minSize: 10 })).toEqual(['ten']);
    expect(await paths({ minSize: 11 })).toEqual([]);
    expect(await paths({ maxSize: 9 })).toEqual(['dateless', 'none', 'old']);
    expect(await paths({ maxSize: 10, minSize: 10 })).toEqual(['ten']);
    expect(await paths({ modifiedAfter: jan })).toEqual(['a', 'none', 'ten']);
    expect(await paths({ modifiedBefore: jan })).toEqual(['old']);
    expect(await paths({ modifiedAfter: '2020-01-01T00:00:00Z', modifiedBefore: '2021-01-01T00:00:00Z' })).toEqual([
      'old',
    ]);
    expect(await paths({})).toEqual(['a', 'dateless', 'none', 'old', 'ten']);
  });

  it('searches the newest restore point of each source or of one, and never another account', async () => {
    const { platform, backupChain, paths } = await box({ one: 'x', deleted: 'x' });
    await backupChain.backUp({ deleted: undefined, new: 'x' });
    const second = makeBackupChain(platform, account);
    await second.backUp({ two: 'x' });
    await makeBackupChain(platform, 'acc_bob').backUp({ bobs: 'x' });
    expect((await paths({})).toSorted()).toEqual(['new', 'one', 'two']);
    expect(await paths({ sourceId: second.sourceId })).toEqual(['two']);
    const bobs = makeBackupChain(platform, 'acc_bob');
    await bobs.backUp({ secret: 'x' });
    expect(await paths({ sourceId: bobs.sourceId })).toEqual([]);
  });

  it('pages without losing or repeating a file, with bounded work per page', async () => {
    const names = Array.from(
      { length: 25 },
      (_, n) => `file-${String(n).padStart(2, '0')}${n % 5 === 0 ? '.pdf' : ''}`,
    );
    const { platform, all } = await box(Object.fromEntries(names.map((name) => [name, 'x'])));
    await makeBackupChain(platform, account).backUp({ 'other.pdf': 'x' });
    const pdfs = [...names.filter((name) => name.endsWith('.pdf')), 'other.pdf'];
    for (const page of [
      { limit: 1 },
      { limit: 2 },
      { limit: 50, work: 1 },
      { limit: 50, work: 207 },
      { limit: 2, work: 203 },
    ]) {
      expect((await all({ types: ['pdf'] }, page)).paths.toSorted()).toEqual(pdfs);
    }
    expect((await all({ types: ['pdf'] }, { work: 205 })).pages).toBeGreaterThanOrEqual(5);
    expect((await all({}, {})).pages).toBe(1);
  });

  it('gives turns of the event loop when filters reject cached entries', async () => {
    const names = Array.from({ length: 2000 }, (_, n) => [`file ${n}`, 'x'] as const);
    const { all } = await box(Object.fromEntries(names));
    await all({ query: 'file' });
    expect(await countTurns(() => all({ query: 'file', types: ['none'] }))).toBeGreaterThan(6);
    expect(await countTurns(() => all({ types: ['none'] }))).toBeGreaterThan(6);
  });

  it('gives complete pages in path order, as a filter of all paths does', async () => {
    const part = fc.constantFrom('a', 'B', 'ab', 'Été', 'été.txt', '!', 'b a', '\uff0f', '0');
    const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const word = fc.oneof(part, path, fc.constantFrom('/', 'a/', '/b', 'T', 'zz'));
    const given = fc.record({
      paths: fc.uniqueArray(path, { minLength: 1, maxLength: 30 }),
      words: fc.array(word, { maxLength: 3 }),
      limit: fc.integer({ min: 1, max: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(given, async ({ paths, words, limit }) => {
        const { platform, backupChain } = await box(Object.fromEntries(paths.map((name) => [name, 'x'])));
        const query = words.join(' ');
        const wanted = query.split(/\s+/).filter(Boolean).map(fold);
        const expected = paths.filter((name) => wanted.every((one) => fold(name).includes(one))).sort(compareKeys);
        const found: string[] = [];
        for (let position: FilesPosition | null | undefined; position !== null; ) {
          const page = { limit, ...(position && { position }) };
          const result = await searchFiles(platform, account, { query, sourceId: backupChain.sourceId }, page);
          found.push(...result.items.map(({ path: name }) => name));
          if (result.next) expect(result.items.length).toBe(limit);
          position = result.next;
        }
        expect(found).toEqual(expected);
      }),
      { numRuns: 25 },
    );
  });

  it('finds the same from any key on', async () => {
    const part = fc.constantFrom('a', 'ab', 'b', '!', 'ba', '0');
    const path = fc.array(part, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('/'));
    const given = fc.record({
      paths: fc.uniqueArray(path, { minLength: 1, maxLength: 30 }),
      words: fc.array(fc.constantFrom('a', 'b', 'a/'), { maxLength: 2 }),
      after: fc.option(path, { nil: undefined }),
    });
    const platform = await testPlatform();
    await fc.assert(
      fc.asyncProperty(given, async ({ paths, words, after }) => {
        const backupChain = makeBackupChain(platform, account);
        const { manifest } = await backupChain.backUp(Object.fromEntries(paths.map((name) => [name, 'x'])));
        const ctx = await readerContext(platform, account);
        const root = await openManifest(ctx, manifest);
        const expected = paths
          .filter((name) => words.every((word) => name.includes(word)))
          .filter((name) => after === undefined || compareKeys(name, after) > 0)
          .sort(compareKeys);
        const found: string[] = [];
        for await (const step of searchKeys(ctx, root, words, after))
          if ('key' in step && !step.key.endsWith('/')) found.push(step.key);
        expect(found).toEqual(expected);
      }),
      { numRuns: 200 },
    );
  });

  it('searches as of a time', async () => {
    const { backupChain, paths } = await box({ old: 'x' });
    const { at } = await backupChain.backUp({ old: undefined, new: 'x' });
    expect(await paths({ query: 'o', asOf: new Date(Date.parse(at) - 1).toISOString() })).toEqual(['old']);
    expect(await paths({ query: 'e', asOf: at })).toEqual(['new']);
    expect(await paths({ query: 'o', asOf: '2001-01-01T00:00:00.000Z' })).toEqual([]);
  });
});
