import { describe, expect, it } from 'vitest';
import { listFiles } from '../../../projections/files/listing.ts';
import { findVersion, listVersions } from '../../../projections/files/versions.ts';
import { type TestPlatform, testPlatform } from '../../support/api.ts';
import { makeBackupChain } from '../../support/backups.ts';

const account = 'acc_ada';

async function fileIds(platform: TestPlatform): Promise<{ [path: string]: string }> {
  const { items } = await listFiles(platform, account, { recursive: true }, { limit: 200 });
  const tops = await listFiles(platform, account, { recursive: false }, { limit: 200 });
  return Object.fromEntries([...items, ...tops.items].map(({ path, id }) => [path, id]));
}

async function backedUp() {
  const platform = await testPlatform();
  const backupChain = makeBackupChain(platform, account);
  return { platform, backupChain };
}

describe('versions of a file', () => {
  it('are listed newest first with their runs, across a deletion and a return', async () => {
    const { platform, backupChain } = await backedUp();
    const first = await backupChain.backUp({ a: 'one', other: 'x' });
    await backupChain.backUp({ other: 'y' });
    const second = await backupChain.backUp({ a: 'two!' });
    const third = await backupChain.backUp({ a: undefined });
    const ids = await fileIds(platform);
    expect(ids.a).toBeUndefined();
    const before = await listFiles(platform, account, { recursive: true, asOf: first.at }, { limit: 10 });
    const id = before.items.find(({ path }) => path === 'a')?.id ?? '';
    await backupChain.backUp({ other: 'z' });
    const { items } = await listVersions(platform, account, id, { limit: 50 });
    expect(items).toEqual([
      { version: 3, runId: third.runId, at: third.at, size: 0, sha256: null, deleted: true },
      {
        version: 2,
        runId: second.runId,
        at: second.at,
        size: 4,
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        deleted: false,
      },
      {
        version: 1,
        runId: first.runId,
        at: first.at,
        size: 3,
        sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
        deleted: false,
      },
    ]);
    const back = await backupChain.backUp({ a: 'back' });
    expect((await listVersions(platform, account, id, { limit: 50 })).items).toMatchObject([
      { version: 4, runId: back.runId, deleted: false },
      ...items,
    ]);
  });

  it('are in the order of their backups, also after the clock was set back', async () => {
    const { platform, backupChain } = await backedUp();
    const first = await backupChain.backUp({ a: 'one' });
    platform.clock.now -= 3_600_000;
    const second = await backupChain.backUp({ a: 'two', b: 'x' });
    const { a: id = '', b } = await fileIds(platform);
    expect(b).toBeDefined();
    const { items } = await listVersions(platform, account, id, { limit: 5 });
    expect(items.map(({ version, runId }) => [version, runId])).toEqual([
      [2, second.runId],
      [1, first.runId],
    ]);
  });

  it('are listed in pages that later runs do not shift', async () => {
    const { platform, backupChain } = await backedUp();
    for (let n = 1; n <= 7; n++) await backupChain.backUp({ a: `content ${n}` });
    const { a: id = '' } = await fileIds(platform);
    const numbers: number[] = [];
    let cursor: string | null = null;
    do {
      const page = await listVersions(platform, account, id, { limit: 3, ...(cursor === null ? {} : { cursor }) });
      numbers.push(...page.items.map(({ version }) => version));
      cursor = page.next;
      await backupChain.backUp({ a: `more ${numbers.length}` });
    } while (cursor !== null);
    expect(numbers).toEqual([7, 6, 5, 4, 3, 2, 1]);
  });

  it('of one job exclude those of another job of the same source', async () => {
    const { platform, backupChain } = await backedUp();
    await backupChain.backUp({ a: 'one' });
    const other = makeBackupChain(platform, account, { sourceId: backupChain.sourceId });
    await other.backUp({ a: 'two' });
    await other.backUp({ a: 'three' });
    const versionsOf = async (jobId: string) => {
      const { items } = await listFiles(platform, account, { jobId, recursive: true }, { limit: 10 });
      return (await listVersions(platform, account, items[0]?.id ?? '', { limit: 50 })).items.map(
        ({ version }) => version,
      );
    };
    expect(await versionsOf(backupChain.jobId)).toEqual([1]);
    expect(await versionsOf(other.jobId)).toEqual([2, 1]);
  });

  it('exist for folders, with and without an entry of their own', async () => {
    const { platform, backupChain } = await backedUp();
    const { runId } = await backupChain.backUp({ 'real/': null, 'real/a': 'x', 'shown/a': 'x' });
    const { real = '', shown = '' } = await fileIds(platform);
    for (const id of [real, shown]) {
      expect((await listVersions(platform, account, id, { limit: 5 })).items).toMatchObject([
        { version: 1, runId, size: 0, sha256: null, deleted: false },
      ]);
    }
  });

  it('are found by number, and without a number the newest with content', async () => {
    const { platform, backupChain } = await backedUp();
    await backupChain.backUp({ a: 'one' });
    const { a: id = '' } = await fileIds(platform);
    await backupChain.backUp({ a: 'two' });
    await backupChain.backUp({ a: undefined });
    await backupChain.backUp({ b: 'x' });
    expect((await findVersion(platform, account, id)).entry.version).toBe(2);
    expect((await findVersion(platform, account, id, 1)).entry.version).toBe(1);
    expect((await findVersion(platform, account, id, 2)).entry.version).toBe(2);
    await expect(findVersion(platform, account, id, 3)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/deletion.*versions/),
    });
    await expect(findVersion(platform, account, id, 4)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/no version 4.*versions/),
    });
  });

  it('are not found by another account or by an invalid id', async () => {
    const { platform, backupChain } = await backedUp();
    await backupChain.backUp({ a: 'one' });
    const { a: id = '' } = await fileIds(platform);
    // The id may already end in AA.
    const altered = `${id.slice(0, -2)}${id.endsWith('AA') ? 'BB' : 'AA'}`;
    for (const [requester, fileId] of [
      ['acc_bob', id],
      [account, altered],
      [account, 'file_x'],
    ] as const) {
      await expect(listVersions(platform, requester, fileId, { limit: 5 })).rejects.toMatchObject({
        code: 'not-found',
      });
      await expect(findVersion(platform, requester, fileId)).rejects.toMatchObject({ code: 'not-found' });
    }
  });
});
