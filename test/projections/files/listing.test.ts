/** Listings of files, page by page. */
import { describe, expect, it } from 'vitest';
import { type FilesPosition, listFiles } from '../../../projections/files/listing.ts';
import { testPlatform } from '../../support/api.ts';
import { makeBackupChain } from '../../support/backups.ts';

describe('a listing', () => {
  it.each([false, true])('lists each object of a bucket once in pages of one (recursive: %s)', async (recursive) => {
    const platform = await testPlatform();
    const backupChain = makeBackupChain(platform, 'acc_ada');
    // A bucket may have an object, an object with that name as a folder, and objects below.
    await backupChain.backUp({ a: 'x', 'a/': { kind: 'file', size: 0 }, 'a/b': 'x', 'a!': 'x' });
    const ids = new Set<string>();
    const paths: string[] = [];
    for (let position: FilesPosition | null | undefined; position !== null; ) {
      const query = { path: 'a', recursive };
      const page = await listFiles(platform, 'acc_ada', query, { limit: 1, ...(position && { position }) });
      for (const { id, path } of page.items) {
        ids.add(id);
        paths.push(path);
      }
      position = page.next;
    }
    expect(paths).toEqual(['a', 'a', 'a/b']);
    expect(ids.size).toBe(3);
  });
});
