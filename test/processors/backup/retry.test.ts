/** Retries of runs over a folder in which some files cannot be read at first. */
import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { changeSource } from '../../../commands/change-source.ts';
import { retryRun } from '../../../commands/retry-run.ts';
import { type AnyConnector, type SourceSession, temporary } from '../../../connectors/connector.ts';
import { folder } from '../../../connectors/folder.ts';
import { connectors } from '../../../connectors/index.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { getRun } from '../../../projections/runs.ts';
import { account, command, makeWorld, pictureOf } from '../../faults/world.ts';
import { expectClean } from '../../support/check.ts';
import { makeIdSource } from '../../support/id-source.ts';

/** A world whose source has that connector. Runs are delivered until they end. */
async function worldOf(connector: AnyConnector, before = () => {}) {
  const registry = connectors as AnyConnector[];
  registry.unshift(connector);
  onTestFinished(() => void registry.splice(registry.indexOf(connector), 1));
  const world = await makeWorld();
  async function end(id: string, deadline: number) {
    before();
    await world.settle((body) => handleMessage(world.deployment, body, { deadline }));
    const run = await getRun(world.platform, account, id);
    if (!run) throw new Error('no run');
    await expectClean(world.platform);
    return run;
  }
  return {
    world,
    run: async () => end(await world.request(), Number.POSITIVE_INFINITY),
    async retry(run: { id: string; jobId: string; status: string }, deadline = Number.POSITIVE_INFINITY) {
      const { id } = await retryRun(world.platform, command(), run, async () => false);
      return end(id, deadline);
    },
    paths: async () => (await pictureOf(world)).files.filter(({ kind }) => kind === 'file').map(({ path }) => path),
  };
}

/** Root reads files without permission, so the connector refuses them. */
async function refusingWorld(files: string[]) {
  const refused = new Set<string>();
  const calls = { lists: 0, looks: 0, reads: [] as string[] };
  const refusing: AnyConnector = {
    ...(folder as AnyConnector),
    async open(...given) {
      const session = await (folder as AnyConnector).open(...given);
      const read: SourceSession['read'] = async function* (requests, options) {
        calls.reads.push(...requests.map(({ entry }) => entry.key));
        const problem = temporary('unreadable', 'Permission denied.');
        const isRefused = (index: number) => refused.has(requests[index]?.entry.key ?? '');
        for await (const frame of session.read(requests, options))
          yield frame.flatMap((part) => {
            if (!isRefused(part.index)) return [part];
            return 'problem' in part || part.end ? [{ index: part.index, problem }] : [];
          });
      };
      return {
        ...{ read, check: () => session.check(), close: () => session.close() },
        identity: async () => (await session.identity?.()) ?? '',
        list(page, options) {
          calls.lists++;
          return session.list(page, options);
        },
        look(at, options) {
          calls.looks++;
          return session.look(at, options);
        },
      };
    },
  };
  const { world, ...runs } = await worldOf(refusing, () => Object.assign(calls, { lists: 0, looks: 0, reads: [] }));
  await mkdir(join(world.source, 'sub'));
  for (const file of files) await writeFile(join(world.source, file), `content of ${file}`);
  return {
    ...{ world, refused, calls, ...runs },
    write: (file: string, content: string) => writeFile(join(world.source, file), content),
  };
}

describe('a retry of a partial run', () => {
  it('looks up and reads only what failed, and leaves all else as it was', async () => {
    const { run, retry, refused, calls, write, paths } = await refusingWorld(['a', 'b', 'c', 'sub/d', 'sub/é']);
    for (const key of ['b', 'sub/d', 'sub/é']) refused.add(key);
    const first = await run();
    expect(first).toMatchObject({ status: 'partial', trigger: 'manual', kind: 'backup', result: null });
    expect(await paths()).toEqual(['a', 'c']);
    refused.delete('b');
    refused.delete('sub/é');
    await write('a', 'new content, which a retry does not see');
    const second = await retry(first);
    expect(second).toMatchObject({
      ...{ status: 'partial', trigger: 'retry', errors: [{ path: 'sub/d', code: 'unreadable' }] },
      progress: { filesTotal: 5, filesUnchanged: 2, filesDone: 2, filesFailed: 1, filesDeleted: 0 },
    });
    expect(calls).toMatchObject({ lists: 0, looks: 3 });
    expect(new Set(calls.reads)).toEqual(new Set(['b', 'sub/d', 'sub/é']));
    expect(await paths()).toEqual(['a', 'b', 'c', 'sub/é']);
    refused.clear();
    const third = await retry(second);
    expect(third).toMatchObject({ status: 'succeeded', progress: { filesDone: 1, filesUnchanged: 4 } });
    expect(calls).toMatchObject({ lists: 0, looks: 1 });
    expect((await run()).progress).toMatchObject({ filesTotal: 5, filesDone: 1, filesUnchanged: 4 });
  });

  it('goes on after each step, with the same result', async () => {
    const files = Array.from({ length: 250 }, (_, i) => `sub/${String(i).padStart(3, '0')}`);
    const { run, retry, refused, calls, paths } = await refusingWorld([...files, 'z']);
    for (const file of files) refused.add(file);
    const first = await run();
    expect(await paths()).toEqual(['z']);
    refused.clear();
    const second = await retry(first, 0);
    expect(second).toMatchObject({ status: 'succeeded', progress: { filesTotal: 251, filesDone: 250 } });
    expect(calls).toMatchObject({ lists: 0, looks: 250 });
    expect(await paths()).toHaveLength(251);
  });

  it('keeps the last version of a file that still fails, and drops a file that is gone', async () => {
    const { world, run, retry, refused, write, paths } = await refusingWorld(['a', 'b']);
    await run();
    await write('a', 'changed');
    await write('b', 'changed');
    refused.add('a').add('b');
    const first = await run();
    await rm(join(world.source, 'b'));
    const second = await retry(first);
    expect(second).toMatchObject({
      ...{ status: 'partial', errors: [{ path: 'a' }] },
      progress: { filesTotal: 1, filesUnchanged: 0, filesFailed: 1, filesDeleted: 1 },
    });
    expect(await paths()).toEqual(['a']);
  });

  it('also reads what failed in a later run, and nothing that is fine now', async () => {
    const { run, retry, refused, calls, write } = await refusingWorld(['a', 'b', 'c']);
    refused.add('a').add('b');
    const first = await run();
    refused.delete('a');
    refused.add('c');
    await write('c', 'changed');
    await run();
    refused.clear();
    expect(await retry(first)).toMatchObject({ status: 'succeeded', progress: { filesDone: 2, filesUnchanged: 1 } });
    expect(calls).toMatchObject({ lists: 0, looks: 3 });
    expect(new Set(calls.reads)).toEqual(new Set(['b', 'c']));
  });

  type Given = Awaited<ReturnType<typeof refusingWorld>>;
  const changes: { [why: string]: (given: Given) => Promise<unknown> } = {
    'a later run succeeded': ({ refused, run }) => {
      refused.clear();
      return run();
    },
    'the settings of the source changed': ({ world: { platform, sourceId, source } }) =>
      changeSource(platform, command(), sourceId, { name: 'Papers', config: { path: source, exclude: ['x'] } }),
    'the folder of a failed file is new': async ({ world: { source }, run, write }) => {
      await rm(join(source, 'sub'), { recursive: true });
      await run();
      await mkdir(join(source, 'sub'));
      await write('sub/b', 'again');
    },
    'the list of failed files is damaged': async ({ world: { platform } }) => {
      const { items } = await platform.blobs.list(`errors/${account}/`, { limit: 10 });
      const [{ key } = { key: '' }] = items;
      const bytes = await platform.blobs.get(key);
      await platform.blobs.delete([key]);
      await platform.blobs.put(
        key,
        (bytes ?? new Uint8Array()).map((byte) => byte ^ 1),
      );
    },
    'another folder replaced the source': async ({ world: { source }, write }) => {
      await rename(source, `${source}-old`);
      onTestFinished(() => rm(`${source}-old`, { recursive: true }));
      await mkdir(source);
      await write('new', 'new');
    },
  };

  it.each(Object.keys(changes))('lists the source when %s', async (why) => {
    const given = await refusingWorld(['a', 'sub/b']);
    given.refused.add('a').add('sub/b');
    const first = await given.run();
    await changes[why]?.(given);
    given.refused.clear();
    expect(await given.retry(first)).toMatchObject({ status: 'succeeded', trigger: 'retry' });
    expect(given.calls.lists).toBeGreaterThan(0);
    await expectClean(given.world.platform, { deployment: given.world.deployment });
  });
});

it('a retry of a failed run without a restore point is a normal run', async () => {
  const { world, run, retry, calls, paths } = await refusingWorld(['a']);
  const moved = `${world.source}-moved`;
  await rename(world.source, moved);
  const failed = await run();
  expect(failed.status).toBe('failed');
  await rename(moved, world.source);
  expect(await retry(failed)).toMatchObject({ status: 'succeeded', trigger: 'retry' });
  expect(calls.lists).toBeGreaterThan(0);
  expect(await paths()).toEqual(['a']);
});

it('refuses a retry of a run that saved all files, or that is open', async () => {
  const { world, run } = await refusingWorld(['a']);
  const done = await run();
  const retry = (of: { id: string; jobId: string; status: string }) =>
    retryRun(world.platform, command(), of, async () => false);
  await expect(retry(done)).rejects.toMatchObject({ code: 'nothing-to-retry' });
  await expect(retry({ ...done, status: 'cancelled' })).rejects.toMatchObject({ code: 'nothing-to-retry' });
  await expect(retry({ ...done, status: 'running' })).rejects.toMatchObject({ code: 'run-open' });
  const open = await world.request();
  await expect(retry({ ...done, status: 'partial' })).rejects.toMatchObject({
    ...{ code: 'run-open', extra: { runId: open } },
  });
});

describe('a retry over a source with ids', () => {
  it('lists the changes, which include what failed, and keeps the cursor', async () => {
    const source = makeIdSource();
    const folder = source.add(null, 'folder', null) as string;
    const [, failing = ''] = ['a', 'b'].map((name) => source.add(folder, name, name));
    const { run, retry, paths } = await worldOf(source.connector);
    source.faults.unreadable.add(failing);
    const first = await run();
    source.faults.unreadable.clear();
    expect(await retry(first)).toMatchObject({ status: 'succeeded', progress: { filesDone: 1, filesUnchanged: 1 } });
    source.move(folder, null, 'moved');
    expect((await run()).status).toBe('succeeded');
    expect(await paths()).toEqual(['moved/a', 'moved/b']);
    expect(source.calls).toMatchObject({ list: 1, changes: 2 });
  });

  it('looks up what failed if there is no cursor, and then the next run lists everything', async () => {
    const source = makeIdSource();
    const folder = source.add(null, 'folder', null) as string;
    const ids = ['a', 'b', 'c'].map((name) => source.add(folder, name, name) as string);
    const { world, run, retry, paths } = await worldOf(source.connector);
    for (const id of ids.slice(1)) source.faults.unreadable.add(id);
    // The first listing gives no cursor.
    const { list } = source.session;
    source.session.list = async (...page) => ({ ...(await list(...page)), since: null });
    const first = await run();
    source.session.list = list;
    source.faults.unreadable.clear();
    source.move(ids[1] as string, null, 'elsewhere');
    const lists = source.calls.list;
    expect(await retry(first)).toMatchObject({ status: 'succeeded', progress: { filesDone: 2, filesUnchanged: 1 } });
    expect(source.calls).toMatchObject({ list: lists, changes: 0 });
    // A look-up by id says nothing about moves. The next run sees them.
    expect(await paths()).toEqual(['folder/a', 'folder/b', 'folder/c']);
    await run();
    expect(source.calls).toMatchObject({ changes: 0 });
    expect(source.calls.list).toBeGreaterThan(lists);
    expect(await paths()).toEqual(['elsewhere', 'folder/a', 'folder/c']);
    await expectClean(world.platform);
  });
});
