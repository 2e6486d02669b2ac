import { describe, expect, it } from 'vitest';
import { listFiles } from '../../../projections/files/listing.ts';
import { findVersion, listVersions } from '../../../projections/files/versions.ts';
import { type TestMachine, testMachine } from '../../support/api.ts';
import { backupLine } from '../../support/backups.ts';

const account = 'acc_ada';

async function fileIds(machine: TestMachine): Promise<{ [path: string]: string }> {
  const { items } = await listFiles(machine, account, { recursive: true }, { limit: 200 });
  const tops = await listFiles(machine, account, { recursive: false }, { limit: 200 });
  return Object.fromEntries([...items, ...tops.items].map(({ path, id }) => [path, id]));
}

async function backedUp() {
  const machine = await testMachine();
  const line = backupLine(machine, account);
  return { machine, line };
}

describe('versions of a file', () => {
  it('are all there newest first, through deletion and return, with the run of each', async () => {
    const { machine, line } = await backedUp();
    const first = await line.backUp({ a: 'one', other: 'x' });
    await line.backUp({ other: 'y' });
    const second = await line.backUp({ a: 'two!' });
    const third = await line.backUp({ a: undefined });
    const ids = await fileIds(machine);
    expect(ids.a).toBeUndefined();
    const before = await listFiles(machine, account, { recursive: true, asOf: first.at }, { limit: 10 });
    const id = before.items.find(({ path }) => path === 'a')?.id ?? '';
    await line.backUp({ other: 'z' });
    const { items } = await listVersions(machine, account, id, { limit: 50 });
    expect(items).toEqual([
      { version: 3, runId: third.runId, at: third.at, size: 0, sha256: null, deleted: true },
      { version: 2, runId: second.runId, at: second.at, size: 4, sha256: expect.stringMatching(/^[0-9a-f]{64}$/), deleted: false },
      { version: 1, runId: first.runId, at: first.at, size: 3, sha256: expect.stringMatching(/^[0-9a-f]{64}$/), deleted: false },
    ]);
    const back = await line.backUp({ a: 'back' });
    expect((await listVersions(machine, account, id, { limit: 50 })).items).toMatchObject([
      { version: 4, runId: back.runId, deleted: false },
      ...items,
    ]);
  });

  it('are in the order in which they were backed up, also after the clock was set back', async () => {
    const { machine, line } = await backedUp();
    const first = await line.backUp({ a: 'one' });
    machine.clock.now -= 3_600_000;
    const second = await line.backUp({ a: 'two', b: 'x' });
    const { a: id = '', b } = await fileIds(machine);
    expect(b).toBeDefined();
    const { items } = await listVersions(machine, account, id, { limit: 5 });
    expect(items.map(({ version, runId }) => [version, runId])).toEqual([
      [2, second.runId],
      [1, first.runId],
    ]);
  });

  it('come in pages that later runs do not shift', async () => {
    const { machine, line } = await backedUp();
    for (let n = 1; n <= 7; n++) await line.backUp({ a: `content ${n}` });
    const { a: id = '' } = await fileIds(machine);
    const seen: number[] = [];
    let cursor: string | null = null;
    do {
      const page = await listVersions(machine, account, id, { limit: 3, ...(cursor === null ? {} : { cursor }) });
      seen.push(...page.items.map(({ version }) => version));
      cursor = page.next;
      await line.backUp({ a: `more ${seen.length}` });
    } while (cursor !== null);
    expect(seen).toEqual([7, 6, 5, 4, 3, 2, 1]);
  });

  it('of one job are not mixed with those of another job of the same source', async () => {
    const { machine, line } = await backedUp();
    await line.backUp({ a: 'one' });
    const other = backupLine(machine, account, { sourceId: line.sourceId });
    await other.backUp({ a: 'two' });
    await other.backUp({ a: 'three' });
    const of = async (jobId: string) => {
      const { items } = await listFiles(machine, account, { jobId, recursive: true }, { limit: 10 });
      return (await listVersions(machine, account, items[0]?.id ?? '', { limit: 50 })).items.map(({ version }) => version);
    };
    expect(await of(line.jobId)).toEqual([1]);
    expect(await of(other.jobId)).toEqual([2, 1]);
  });

  it('of folders there are too, also of one that only shows in names', async () => {
    const { machine, line } = await backedUp();
    const { runId } = await line.backUp({ 'real/': null, 'real/a': 'x', 'shown/a': 'x' });
    const { real = '', shown = '' } = await fileIds(machine);
    for (const id of [real, shown]) {
      expect((await listVersions(machine, account, id, { limit: 5 })).items).toMatchObject([
        { version: 1, runId, size: 0, sha256: null, deleted: false },
      ]);
    }
  });

  it('can be had each, and without a number the newest that has content', async () => {
    const { machine, line } = await backedUp();
    await line.backUp({ a: 'one' });
    const { a: id = '' } = await fileIds(machine);
    await line.backUp({ a: 'two' });
    await line.backUp({ a: undefined });
    await line.backUp({ b: 'x' });
    expect((await findVersion(machine, account, id)).entry.version).toBe(2);
    expect((await findVersion(machine, account, id, 1)).entry.version).toBe(1);
    expect((await findVersion(machine, account, id, 2)).entry.version).toBe(2);
    await expect(findVersion(machine, account, id, 3)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/deletion.*versions/),
    });
    await expect(findVersion(machine, account, id, 4)).rejects.toMatchObject({
      code: 'not-found',
      message: expect.stringMatching(/no version 4.*versions/),
    });
  });

  it('are nobody else’s, and of nothing that never was', async () => {
    const { machine, line } = await backedUp();
    await line.backUp({ a: 'one' });
    const { a: id = '' } = await fileIds(machine);
    // Every so many ids end in AA as they are.
    const altered = `${id.slice(0, -2)}${id.endsWith('AA') ? 'BB' : 'AA'}`;
    for (const [who, what] of [
      ['acc_bob', id],
      [account, altered],
      [account, 'file_x'],
    ] as const) {
      await expect(listVersions(machine, who, what, { limit: 5 })).rejects.toMatchObject({ code: 'not-found' });
      await expect(findVersion(machine, who, what)).rejects.toMatchObject({ code: 'not-found' });
    }
  });
});
