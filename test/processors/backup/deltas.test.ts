import fc from 'fast-check';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { load } from '../../../activity/store.ts';
import { type AnyConnector, type DeltaItem, SourceProblem } from '../../../connectors/connector.ts';
import { connectors } from '../../../connectors/index.ts';
import { backupChain, backupChainId } from '../../../domain/backup-chain.ts';
import { compareEntries, positionOf } from '../../../domain/entry.ts';
import { streamName } from '../../../domain/event.ts';
import { applyChanges } from '../../../processors/backup/compare.ts';
import { completeDelta, pathChanges } from '../../../processors/backup/delta.ts';
import { pathsOfIds, writeIdIndex } from '../../../processors/backup/id-index.ts';
import { defaultLimits } from '../../../processors/limits.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { findRestorePoint, readerContext } from '../../../projections/files/listing.ts';
import { getRun } from '../../../projections/runs.ts';
import { writeManifest } from '../../../vault/manifest.ts';
import { metadataKey } from '../../../vault/metadata.ts';
import { type BatchList, changesOfPart, type Part } from '../../../vault/part.ts';
import { readFile } from '../../../vault/read-file.ts';
import { entries, openManifest } from '../../../vault/reader.ts';
import { account, makeWorld } from '../../faults/world.ts';
import { type IdSource, makeIdSource } from '../../support/id-source.ts';
import { collect, flipped, memoryVault } from '../../vault/vault-fixture.ts';

const day = 24 * 3600_000;

/** A backup chain of a source in memory. The plan stops after each step, so that it goes on in another delivery. */
async function chainOf(source: IdSource) {
  // The registry has the connectors of the product only, and the first of a type counts.
  const registry = connectors as AnyConnector[];
  registry.unshift(source.connector);
  onTestFinished(() => void registry.splice(registry.indexOf(source.connector), 1));
  const clock = { now: Date.UTC(2026, 0, 1) };
  const world = await makeWorld({ now: () => clock.now });
  const { platform } = world;
  return {
    world,
    clock,
    /** `between` is called after the first step of the plan. */
    async run(between = async () => {}) {
      clock.now += day;
      const id = await world.request();
      let plans = 0;
      await world.settle(async (body) => {
        await handleMessage(world.deployment, body, { deadline: 0 });
        if (body.name === 'plan' && ++plans === 1) await between();
      });
      const run = await getRun(platform, account, id);
      return { status: run?.status, ...run?.progress };
    },
    /** The newest restore point, as the source lists its own content. */
    async backup() {
      const restorePoint = await findRestorePoint(platform, account, { jobId: world.jobId });
      if (!restorePoint) throw new Error('no restore point');
      const vault = await readerContext(platform, account);
      const root = await openManifest(vault, restorePoint.manifest);
      const files: { [path: string]: string } = {};
      const folders: string[] = [];
      for await (const entry of entries(vault, root)) {
        if (entry.kind === 'folder') folders.push(entry.key);
        else {
          const content: Uint8Array[] = [];
          for await (const piece of readFile(vault, entry)) content.push(piece);
          files[entry.key] = Buffer.concat(content).toString();
        }
      }
      expect(root.totals).toMatchObject({ files: Object.keys(files).length, folders: folders.length });
      return { files, folders: folders.sort() };
    },
  };
}

const contentOf = (source: IdSource) => ({ files: source.files(), folders: source.folders().sort() });

const picks = { a: fc.nat(1000), b: fc.nat(1000), name: fc.constantFrom('a', 'b', 'c', 'd!', 'é') };

/** A change of the source. `a` and `b` pick existing entries and folders by number. */
const change = fc.record({
  op: fc.constantFrom(
    ...['file', 'file', 'folder', 'folder', 'edit', 'move', 'move', 'move', 'swap', 'remove', 'restore'],
  ),
  ...picks,
});
/** The source refuses some entries too. */
const changeOrRefusal = fc.oneof(
  { weight: 5, arbitrary: change },
  fc.record({ op: fc.constantFrom('fail', 'skip'), ...picks }),
);
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function apply(source: IdSource, { op, a, b, name }: Change): void {
  const pick = <T>(all: T[], at: number): T | undefined => all[at % Math.max(1, all.length)];
  const all = source.ids();
  const folder = pick([null, ...all.filter((id) => source.isFolder(id))], a) ?? null;
  const [one, other] = [pick(all, b), pick(all, a)];
  const file = pick(
    all.filter((id) => !source.isFolder(id)),
    b,
  );
  const trashed = pick(source.trashed(), a);
  if (op === 'file') source.add(folder, name, `content ${b}`);
  else if (op === 'folder') source.add(folder, name, null);
  else if (op === 'edit' && file) source.edit(file, `edited ${a}`);
  else if (op === 'move' && one) source.move(one, folder, name);
  else if (op === 'swap' && one && other) source.swap(one, other);
  else if (op === 'remove' && one) source.remove(one);
  else if (op === 'restore' && trashed) source.restore(trashed);
  else if (op === 'skip' && one) source.skip(one);
  else if (op === 'fail' && file) {
    if (!source.faults.failing.delete(file)) source.faults.failing.add(file);
    source.touch(file);
  }
}

/** Folders in folders, with a file each. */
function plant(source: IdSource, parent: string | null, depth: number): void {
  source.add(parent, 'c', 'planted');
  if (depth > 0) for (const name of ['a', 'b']) plant(source, source.add(parent, name, null) ?? null, depth - 1);
}

/** In batches of one. */
async function* each<T>(changes: T[]): AsyncGenerator<T[]> {
  for (const one of changes) yield [one];
}

/** Backs up the entries of a source by deltas, without their content. */
async function chainInMemory(source: IdSource) {
  const vault = { ...memoryVault(), runId: 'run', at: 'now' };
  const tools = { ...vault, folder: 'work/', sortItems: 5, proceed() {} };
  const found = { runId: 'run', at: 'now', size: 0, modifiedAt: null };
  const puts = source.included().map(({ id, path, revision }) => {
    const kind = path.endsWith('/') ? ('folder' as const) : ('file' as const);
    return { put: { ...found, key: path, id, kind, revision } };
  });
  puts.sort((a, b) => compareEntries(a.put.key, b.put.key));
  let base = (await writeManifest({ ...vault, changes: each(puts) })).root;
  let index = (await writeIdIndex(vault, undefined, base, [], tools)).index;
  let since = source.cursor();
  return {
    /** Stops at a position and goes on from there. */
    async run(stop: number): Promise<void> {
      const on = { context: vault, base, index: await openManifest(vault, index), proceed() {} };
      const { items } = await source.session.deltas.list(since, null, { limit: 1000 });
      since = source.cursor();
      const complete = await completeDelta(on, source.session, items, 1000);
      const all = await collect(pathChanges(on, complete, null));
      const at = all[stop % Math.max(1, all.length)]?.key;
      if (at !== undefined) {
        const rest = await collect(pathChanges(on, complete, positionOf(at)));
        expect(rest).toEqual(all.slice(all.findIndex(({ key }) => key === at) + 1));
      }
      const part: Part = { entries: [], deleted: [], failed: [], skipped: [] };
      const add = (work: Partial<BatchList>) => {
        for (const field of ['entries', 'deleted', 'failed', 'skipped'] as const)
          (part[field] as unknown[]).push(...(work[field] ?? []));
      };
      const { files, links } = base.totals;
      const count = { filesTotal: files + links, filesUnchanged: files + links, bytesTotal: 0, filesLost: 0 };
      applyChanges(all, add, count);
      const put = part.entries.map((entry) => ({ ...entry, ...found, size: entry.size }));
      const changes = each(changesOfPart({ ...part, entries: put }));
      const written = await writeManifest({ ...vault, base, changes });
      index = (await writeIdIndex(vault, { index, manifest: base }, written.root, part.failed, tools)).index;
      base = written.root;
    },
    entries: () => collect(entries(vault, base)),
    async paths(ids: string[]) {
      return pathsOfIds(vault, await openManifest(vault, index), ids);
    },
  };
}

describe('the changes of a delta', () => {
  it('lead from the base to the source, from any position on, and so does the id index', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(change, { maxLength: 10 }),
        fc.array(fc.array(changeOrRefusal, { maxLength: 10, size: 'max' }), { minLength: 1, maxLength: 4 }),
        fc.nat(1000),
        async (first, later, stop) => {
          const source = makeIdSource();
          plant(source, null, 3);
          for (const one of first) apply(source, one);
          const chain = await chainInMemory(source);
          for (const changes of later) {
            const before = new Map((await chain.entries()).map(({ id, revision }) => [id, revision]));
            for (const one of changes) apply(source, one);
            await chain.run(stop);
            // A failed entry keeps its last version, wherever it is now.
            const expected = source.included().flatMap(({ id, path: key, revision }) => {
              const last = source.faults.failing.has(id) ? before.get(id) : revision;
              return last === undefined ? [] : [{ id, key, revision: last }];
            });
            expected.sort((a, b) => compareEntries(a.key, b.key));
            const found = await chain.entries();
            expect(found.map(({ id, key, revision }) => ({ id, key, revision }))).toEqual(expected);
            const paths = await chain.paths([...expected.map(({ id }) => id), ...source.trashed()]);
            expect(paths).toEqual(new Map(expected.map(({ id, key }) => [id, key])));
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  const entryOf = (key: string, id: string, parent: string | null): DeltaItem => {
    const kind = key.endsWith('/') ? 'folder' : 'file';
    return { type: 'entry', entry: { key, id, kind, size: 0, modifiedAt: null, revision: 'new' }, parent };
  };

  async function changesFor(items: DeltaItem[]) {
    const source = makeIdSource();
    const [a, file] = [source.add(null, 'a', null) as string, source.add(null, 'file', 'x') as string];
    const b = source.add(null, 'b', null) as string;
    const chain = await chainInMemory(source);
    source.session.deltas.list = async () => ({ items: items.map((item) => item), page: null, since: null });
    await chain.run(0);
    return { keys: (await chain.entries()).map(({ key }) => key), a, b, file };
  }

  it('ask for a full listing if folders form a cycle, or a folder cannot be read', async () => {
    const cycle = [entryOf('a/', 'id/1', 'id/3'), entryOf('b/', 'id/3', 'id/1')];
    await expect(changesFor(cycle)).rejects.toMatchObject({ code: 'reset' });
    await expect(changesFor([entryOf('a/', 'id/1', 'id/1')])).rejects.toMatchObject({ code: 'reset' });
    const refusal = { key: 'a/', id: 'id/1', code: 'unreadable', message: 'It cannot be read.' };
    await expect(changesFor([{ type: 'failed', refusal, parent: null }])).rejects.toMatchObject({ code: 'reset' });
  });

  it('leave out entries whose folder is no folder, or whose name cannot be part of a path', async () => {
    const items = [entryOf('x', 'new 1', 'id/2'), entryOf('up/down', 'new 2', 'id/1'), entryOf('', 'new 3', null)];
    expect((await changesFor([...items, entryOf('y', 'new 4', 'unknown')])).keys).toEqual(['a/', 'b/', 'file']);
  });
});

describe('a source that lists deltas', () => {
  it('is backed up as it is after each run, and listed as a whole once', async () => {
    const history = fc.array(fc.array(change, { maxLength: 8 }), { minLength: 2, maxLength: 3 });
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 10, maxLength: 25 }), history, async (first, more) => {
        const source = makeIdSource();
        const chain = await chainOf(source);
        source.add(null, 'first', 'x');
        for (const one of first) apply(source, one);
        expect(await chain.run()).toMatchObject({ status: 'succeeded' });
        const listings = source.calls.list;
        for (const changes of more) {
          for (const one of changes) apply(source, one);
          const { status, filesTotal, filesUnchanged = 0, filesDone = 0 } = await chain.run();
          expect(await chain.backup()).toEqual(contentOf(source));
          const count = Object.keys(source.files()).length;
          expect({ status, filesTotal }).toEqual({ status: 'succeeded', filesTotal: count });
          expect(filesUnchanged + filesDone).toBe(count);
        }
        expect(source.calls.list).toBe(listings);
        expect(chain.world.failures).toEqual([]);
      }),
      { numRuns: 3 },
    );
  });

  /** A folder with files that a delta does not name, in a chain with one restore point. */
  async function backedUp() {
    const source = makeIdSource();
    const chain = await chainOf(source);
    const folder = source.add(null, 'papers', null) as string;
    const files = Array.from({ length: 12 }, (_, i) => source.add(folder, `file ${i}`, `content ${i}`) as string);
    expect(await chain.run()).toMatchObject({ status: 'succeeded' });
    source.calls.read = [];
    return { source, chain, folder, files };
  }

  it('reads no content of entries that moved', async () => {
    const { source, chain, folder, files } = await backedUp();
    source.move(folder, null, 'archive');
    source.move(files[0] as string, null, 'top');
    expect(await chain.run()).toMatchObject({ status: 'succeeded', filesDone: 12, bytesRead: 0 });
    expect(source.calls.read).toEqual([]);
    expect(await chain.backup()).toEqual(contentOf(source));
  });

  it('lists folders that are new to it, because the delta does not name what is in them', async () => {
    const { source, chain, folder } = await backedUp();
    source.add(folder, 'deeper', null);
    source.add(source.add(folder, 'deepest', null) as string, 'file', 'x');
    source.remove(folder);
    await chain.run();
    expect(await chain.backup()).toEqual({ files: {}, folders: [] });
    source.restore(folder);
    await chain.run();
    expect(await chain.backup()).toEqual(contentOf(source));
  });

  it.each(['unreadable', 'vanishing'] as const)('looks again at an entry that was %s', async (fault) => {
    const { source, chain, folder, files } = await backedUp();
    const [edited, untouched] = files as [string, string];
    source.faults[fault].add(edited);
    source.edit(edited, 'new');
    expect(await chain.run()).toMatchObject({ status: fault === 'unreadable' ? 'partial' : 'succeeded' });
    source.faults[fault].clear();
    source.calls.read = [];
    source.move(folder, null, 'moved meanwhile');
    expect(await chain.run()).toMatchObject({ status: 'succeeded' });
    expect(source.calls.read).toEqual([edited]);
    expect(await chain.backup()).toEqual(contentOf(source));
    source.calls.read = [];
    source.move(untouched, null, 'later');
    await chain.run();
    expect(source.calls.read).toEqual([]);
  });

  it('is listed as a whole when its cursor has expired, after 30 days', async () => {
    const { source, chain, files } = await backedUp();
    const listsAll = async () => {
      const before = source.calls.list;
      expect(await chain.run()).toMatchObject({ status: 'succeeded' });
      expect(await chain.backup()).toEqual(contentOf(source));
      return source.calls.list > before;
    };
    expect(await listsAll()).toBe(false);
    source.faults.expired = true;
    source.remove(files[0] as string);
    expect(await listsAll()).toBe(true);
    source.faults.expired = false;
    source.edit(files[1] as string, 'new');
    expect(await listsAll()).toBe(false);
    chain.clock.now += 27 * day;
    expect(await listsAll()).toBe(false);
    expect(await listsAll()).toBe(true);
  });

  it('is listed as a whole when its id index is damaged, and keeps its history', async () => {
    const { source, chain, files } = await backedUp();
    const { platform, jobId, sourceId } = chain.world;
    const stream = streamName(account, 'backup-chain', backupChainId(jobId, sourceId));
    const { newestRestorePoint } = (await load(platform, backupChain, stream)).state;
    const key = metadataKey(account, newestRestorePoint?.idIndex?.id ?? '');
    // The first object of the pack is the segment.
    const damaged = flipped((await platform.blobs.get(key)) as Uint8Array, 30);
    await platform.blobs.delete([key]);
    await platform.blobs.put(key, damaged);
    source.calls.list = 0;
    source.edit(files[0] as string, 'new');
    expect(await chain.run()).toMatchObject({ status: 'succeeded', filesDone: 1 });
    expect(source.calls.list).toBeGreaterThan(0);
    expect(await chain.backup()).toEqual(contentOf(source));
    source.calls.list = 0;
    source.edit(files[1] as string, 'new');
    await chain.run();
    expect(source.calls.list).toBe(0);
  });

  it('lists an entry whose path another entry has, and backs it up once the path is free', async () => {
    const source = makeIdSource();
    const chain = await chainOf(source);
    source.faults.sameNames = true;
    const ids = ['one', 'two'].map((content) => source.add(null, 'x', content) as string);
    expect(await chain.run()).toMatchObject({ status: 'partial', filesDone: 1, filesFailed: 1 });
    const kept = (await chain.backup()).files.x === 'one' ? 0 : 1;
    source.remove(ids[kept] as string);
    expect(await chain.run()).toMatchObject({ status: 'succeeded' });
    expect(await chain.backup()).toEqual(contentOf(source));
    const folders = [source.add(null, 'f', null) as string, source.add(null, 'f', null) as string];
    await chain.run();
    source.add(folders[0] as string, 'in first', '1');
    source.add(folders[1] as string, 'in second', '2');
    await chain.run();
    expect((await chain.backup()).files).toEqual(source.files());
  });

  it('reads files again whose pack is lost between two steps of a plan', async () => {
    const { source, chain } = await backedUp();
    const { blobs } = chain.world.platform;
    source.add(null, 'new', 'new content');
    await chain.run(async () => {
      await blobs.delete((await blobs.list('packs/', { limit: 100 })).items.map(({ key }) => key));
    });
    await chain.run();
    expect(await chain.backup()).toEqual(contentOf(source));
  });

  it('fails when the listing has to start again more than three times', async () => {
    const source = makeIdSource();
    const { world } = await chainOf(source);
    let starts = 0;
    const list = async (page: string | null) => {
      if (page !== null || starts === 9) throw new SourceProblem('reset', 'The page token has expired.');
      starts++;
      return { items: [], page: 'next', since: null };
    };
    const open = async () => ({ ...source.session, list });
    source.connector.order = 'entries';
    source.connector.open = open;
    const deployment = { ...world.deployment, limits: { ...defaultLimits, pagesPerStep: 1 } };
    const id = await world.request();
    await world.settle((body) => handleMessage(deployment, body, { deadline: Infinity }));
    expect(await getRun(world.platform, account, id)).toMatchObject({ status: 'failed' });
    expect(starts).toBe(4);
  });

  it('is listed as a whole when an entry takes the path of another', async () => {
    const { source, chain, folder, files } = await backedUp();
    source.faults.sameNames = true;
    source.move(files[0] as string, folder, 'file 1');
    source.calls.list = 0;
    expect(await chain.run()).toMatchObject({ status: 'partial', filesFailed: 1 });
    expect(source.calls.list).toBeGreaterThan(0);
    source.faults.sameNames = false;
    source.move(files[0] as string, folder, 'file 0');
    await chain.run();
    expect(await chain.backup()).toEqual(contentOf(source));
  });

  it('reads two roots in the plan and in the commit when nothing changed', async () => {
    const { source, chain } = await backedUp();
    const get = vi.spyOn(chain.world.platform.blobs, 'get');
    source.calls.list = 0;
    expect(await chain.run()).toMatchObject({ status: 'succeeded', filesTotal: 12, filesUnchanged: 12 });
    expect(source.calls).toMatchObject({ list: 0, changes: 1, listFolder: 0, read: [] });
    expect(get.mock.calls.filter(([key]) => !key.startsWith('keys/')).length).toBeLessThanOrEqual(4);
  });
});
