import { createHash } from 'node:crypto';
import promises, { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { compareKeys } from '../../../domain/entry.ts';
import { blobPath, keyPiece } from '../../../infra/embedded/blob-path.ts';
import { fileBlobs, openBlobs } from '../../../infra/embedded/blobs.ts';
import { testFolder } from '../../support/embedded.ts';

const bytes = (text: string) => new TextEncoder().encode(text);

async function files(folder: string): Promise<string[]> {
  return (await readdir(folder, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);
}

const part = fc
  .string({ unit: 'binary', minLength: 1, maxLength: 120 })
  .filter((text) => !/^\.\.?$|[/\\\p{Cc}]/u.test(text) && text.isWellFormed());
const keys = fc
  .array(part, { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join('/'))
  .filter((key) => bytes(key).length <= 1024);

describe('the path of a blob', () => {
  it('encodes the key in names that every file system accepts', () => {
    fc.assert(
      fc.property(keys, (key) => {
        const names = blobPath(key).split('/');
        expect(names.every((name) => name.length <= 250 && /^[a-z0-9_%.-]+$/.test(name) && !/^\.+$/.test(name))).toBe(
          true,
        );
        const pieces = names.map(
          (name, i) => keyPiece(name, i === names.length - 1 ? 'file' : 'directory') ?? bytes('?'),
        );
        expect(Buffer.concat(pieces).toString()).toBe(key);
      }),
    );
  });

  it.each(['', '/a', 'a/', 'a//b', '..', 'a/../b', './a', 'a\0b', 'a\\..\\b', 'x'.repeat(1025), 'a\ud800'])(
    'rejects the key %j',
    async (key) => {
      const blobs = await openBlobs(await testFolder());
      await expect(blobs.put(key, bytes('x'))).rejects.toThrow('The blob key');
      await expect(blobs.get(key)).rejects.toThrow('The blob key');
      await expect(blobs.delete([key])).rejects.toThrow('The blob key');
    },
  );
});

describe('blobs in files', () => {
  it('list keys in byte order on every file system', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(keys, { maxLength: 12 }), fc.integer({ min: 1, max: 5 }), async (all, limit) => {
        const blobs = await openBlobs(await testFolder());
        for (const key of all) await blobs.put(key, bytes(key));
        const listed: string[] = [];
        for (let cursor: string | null | undefined; cursor !== null; ) {
          const page = await blobs.list('', { limit, ...(cursor ? { cursor } : {}) });
          listed.push(...page.items.map((item) => item.key));
          cursor = page.next;
        }
        expect(listed).toEqual(all.toSorted(compareKeys));
      }),
      { numRuns: 30 },
    );
  });

  it('read a folder once for all pages, and list the same from a cursor of another process', async () => {
    const root = await testFolder();
    const blobs = await openBlobs(root);
    for (let n = 10; n < 40; n++) await blobs.put(`packs/${n}`, bytes('x'));
    const reads = vi.spyOn(promises, 'readdir');
    onTestFinished(() => {
      reads.mockRestore();
      syncBuiltinESMExports();
    });
    syncBuiltinESMExports();
    const listed: string[] = [];
    for (let cursor: string | null = ''; cursor !== null; ) {
      const page = await blobs.list('packs/', { limit: 7, ...(cursor !== '' && { cursor }) });
      listed.push(...page.items.map(({ key }) => key));
      cursor = page.next;
      const others = fileBlobs(root, root);
      const calls = reads.mock.calls.length;
      const rest = cursor === null ? [] : (await others.list('packs/', { limit: 100, cursor })).items;
      expect([...listed, ...rest.map(({ key }) => key)]).toEqual(
        Array.from({ length: 30 }, (_, n) => `packs/${n + 10}`),
      );
      reads.mock.calls.length = calls;
    }
    expect(reads.mock.calls.map(([folder]) => folder)).toEqual([root, join(root, 'packs')]);
  });

  it('distinguish keys that differ only by case or by an ending', async () => {
    const blobs = await openBlobs(await testFolder());
    const all = ['A', 'a', 'a.f', 'a/f', 'a.c/x', '%61', 'con', '.unfinished/x'];
    for (const key of all) await blobs.put(key, bytes(key), { ifAbsent: true });
    for (const key of all) expect(Buffer.from((await blobs.get(key)) ?? []).toString()).toBe(key);
  });

  it('remove half-written files of a crash when opened', async () => {
    const root = await testFolder();
    await mkdir(join(root, '.unfinished'));
    await writeFile(join(root, '.unfinished', 'abc.tmp'), 'half');
    const blobs = await openBlobs(root);
    expect(await files(root)).toEqual([]);
    expect(await blobs.list('', { limit: 10 })).toEqual({ items: [], next: null });
  });

  it('leave no temporary or replaced files, and are readable by the owner only', async () => {
    const root = await testFolder();
    const blobs = await openBlobs(root);
    await blobs.put('k', bytes('one'));
    await blobs.put('k', bytes('two'));
    await blobs.put('k', bytes('three'), { ifAbsent: true });
    expect(await files(root)).toEqual(['k.f']);
    expect((await stat(join(root, 'k.f'))).mode & 0o777).toBe(0o600);
  });

  it('are never read in part while they are replaced', async () => {
    const blobs = await openBlobs(await testFolder());
    const bodies = ['a', 'b'].map((letter) => bytes(letter.repeat(200_000)));
    const hashes = bodies.map((body) => createHash('sha256').update(body).digest('hex'));
    await blobs.put('k', bodies[0] ?? bytes(''));
    const writing = (async () => {
      for (let i = 0; i < 20; i++) await blobs.put('k', bodies[i % 2] ?? bytes(''));
    })();
    for (let i = 0; i < 40; i++) {
      const read = await blobs.get('k');
      expect(hashes).toContain(
        createHash('sha256')
          .update(read ?? bytes(''))
          .digest('hex'),
      );
    }
    await writing;
  });
});
