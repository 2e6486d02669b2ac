/** The task `export`: zips and large files, made in slices by workers that may die anywhere. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { load } from '../../../activity/store.ts';
import { findDownload } from '../../../api/current-state.ts';
import { requestExport } from '../../../commands/grant-download.ts';
import { type DownloadState, download } from '../../../domain/download.ts';
import { keyFromBytes } from '../../../domain/entry.ts';
import { streamName } from '../../../domain/event.ts';
import type { Blobs, JsonObject, Platform } from '../../../domain/ports.ts';
import type { Deployment } from '../../../processors/deployment.ts';
import { prepareDownload } from '../../../processors/export/prepare-download.ts';
import { free } from '../../../processors/meter.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { maintainTasks } from '../../../processors/tasks.ts';
import type { Slice } from '../../../tasks/run-task.ts';
import { readExport, sizeOfExport } from '../../../vault/exports.ts';
import { deriveVaultKeys } from '../../../vault/keys.ts';
import { type TestPlatform, testPlatform } from '../../support/api.ts';
import { makeBackupChain, type Things } from '../../support/backups.ts';
import { testFolder } from '../../support/embedded.ts';
import { type Unzipped, unzip } from '../../support/unzip.ts';
import { gather, noise } from '../../vault/vault-fixture.ts';

const account = 'acc_ada';
const hour = 3_600_000;
const mebibyte = 1024 * 1024;
const endless = (): Slice => ({ deadline: Number.POSITIVE_INFINITY });
const command = (commandId: string) =>
  ({ account, actor: { type: 'user', id: 'usr_ada' }, commandId, correlationId: 'req_1' }) as const;

const deploymentOn = (platform: Platform): Deployment => ({
  platform,
  connectors: () => ({ allowHosts: [] }),
  prices: free,
});

/** A slice that is over when the step has asked `asks` times. */
function sliceOf(asks: number): Slice {
  let left = asks;
  return {
    get deadline() {
      return left-- > 0 ? Number.POSITIVE_INFINITY : 0;
    },
  };
}

/** Makes a backup of `things` and requests an export of it. */
async function requestOf(
  things: Things,
  { paths = [''], on, file }: { paths?: string[]; on?: TestPlatform; file?: { version: number } } = {},
) {
  const platform = on ?? (await testPlatform());
  const backupChain = makeBackupChain(platform, account);
  const { runId, manifest, at: backedUpAt } = await backupChain.backUp(things);
  const { sourceId, jobId } = backupChain;
  const request = { sourceId, jobId, runId, manifest, backedUpAt, paths, ...(file && { file }) };
  const { id } = await requestExport(platform, command(`export of ${runId}`), request);
  const stream = streamName(account, 'download', id);
  const event: JsonObject = { type: 'download.requested.v1', account, stream, version: 1, index: 0 };
  const blob = `exports/${account}/${id}`;

  /** Delivers the event, then messages until none is left. */
  async function prepare(slice = endless, by: Platform = platform): Promise<void> {
    await handleMessage(deploymentOn(by), event, slice());
    for (;;) {
      const messages = await platform.queue.receive('data', { max: 10, visibilitySeconds: 60 });
      if (messages.length === 0) return;
      for (const { receipt } of messages) await platform.queue.ack('data', receipt);
      for (const { body } of messages) await handleMessage(deploymentOn(by), body, slice());
    }
  }

  /** Tries again, each time after a minute, until the export has ended. */
  async function prepareInTime(by: Platform = platform): Promise<void> {
    await prepare(endless, by);
    while ((await state()).status === 'preparing') {
      platform.clock.now += 61_000;
      await maintainTasks(deploymentOn(platform));
      await prepare(endless, by);
    }
  }

  async function content(): Promise<Buffer | undefined> {
    const key = deriveVaultKeys((await platform.keys.accountKey(account)) ?? new Uint8Array()).exports;
    const size = await sizeOfExport(platform.blobs, blob, true);
    if (size === undefined) return undefined;
    return gather(readExport(platform.blobs, { key, blob, size }, { offset: 0, length: size }));
  }

  const state = async (): Promise<DownloadState> => (await load(platform, download, stream)).state;
  return {
    ...{ platform, backupChain, request, id, blob, event, prepare, prepareInTime, content, state },
    status: () => findDownload(platform, account, id),
    zip: async (): Promise<Unzipped[]> => unzip((await content()) ?? Buffer.from('nothing')),
    left: async () => (await platform.blobs.list('exports/', { limit: 100 })).items.map(({ key }) => key),
  };
}

/** Overwrites all packs, so that no content can be read. */
async function damage(platform: Platform): Promise<void> {
  const { items } = await platform.blobs.list(`packs/${account}/`, { limit: 1000 });
  expect(items.length).toBeGreaterThan(0);
  for (const { key, size } of items) await platform.blobs.put(key, new Uint8Array(size));
}

/** Counts the bytes that are read from packs. */
function metered(platform: TestPlatform): { platform: Platform; bytes: () => number } {
  let bytes = 0;
  const get: Blobs['get'] = async (key, range) => {
    const found = await platform.blobs.get(key, range);
    if (key.startsWith('packs/')) bytes += found?.length ?? 0;
    return found;
  };
  return { platform: { ...platform, blobs: { ...platform.blobs, get } }, bytes: () => bytes };
}

/** A process that dies at its n-th write. Nothing of it works after that. */
function mortal(platform: TestPlatform, writes: number): Platform {
  let left = writes;
  const dying =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (left-- <= 0) throw new Error('killed');
      return call(...args);
    };
  const { blobs, records } = platform;
  return {
    ...platform,
    records: { ...records, write: dying(records.write) },
    blobs: {
      ...blobs,
      ...{ put: dying(blobs.put), putPart: dying(blobs.putPart), startUpload: dying(blobs.startUpload) },
      completeUpload: dying(blobs.completeUpload),
    },
  };
}

describe('a zip', () => {
  it('holds content, names, kinds, times and permissions of the selected entries', async () => {
    const big = randomBytes(3 * 1024 * 1024);
    const box = await requestOf(
      {
        'docs/': { mode: 0o750 },
        'docs/zahlen-äöü.csv': '1,2,3\n'.repeat(5000),
        'docs/empty': '',
        'docs/run.sh': '#!/bin/sh',
        'docs/deep/er/big.bin': big,
        'docs/deep/er/film.mp4': big,
        'docs/link': { kind: 'link', target: 'deep/er' },
        'docs/hollow/': null,
        'elsewhere/x': 'not chosen',
        top: 'chosen',
      },
      { paths: ['top', 'docs/'] },
    );
    expect(await box.status()).toEqual({ status: 'preparing' });
    await box.prepare();
    expect(await box.status()).toMatchObject({ status: 'ready', paths: ['top', 'docs/'] });
    const entries = await box.zip();
    const modifiedAt = '2026-01-02T03:04:06.000Z';
    expect(entries.map(({ name, kind, mode }) => [name, kind, mode.toString(8)])).toEqual([
      ['docs/', 'folder', '750'],
      ['docs/deep/er/big.bin', 'file', '644'],
      ['docs/deep/er/film.mp4', 'file', '644'],
      ['docs/empty', 'file', '644'],
      ['docs/hollow/', 'folder', '755'],
      ['docs/link', 'link', '777'],
      ['docs/run.sh', 'file', '644'],
      ['docs/zahlen-äöü.csv', 'file', '644'],
      ['top', 'file', '644'],
    ]);
    for (const entry of entries) expect(entry.modifiedAt).toBe(modifiedAt);
    const content = (name: string) => entries.find((entry) => entry.name === name)?.content ?? Buffer.alloc(0);
    expect(content('docs/deep/er/big.bin').equals(big)).toBe(true);
    expect(content('docs/deep/er/film.mp4').equals(big)).toBe(true);
    expect(content('docs/link').toString()).toBe('deep/er');
    expect(content('docs/zahlen-äöü.csv').toString()).toBe('1,2,3\n'.repeat(5000));
    expect(content('top').toString()).toBe('chosen');
  });

  it('has safe and unique names, whatever the keys', async () => {
    const odd = [
      '../up',
      '/abs',
      'a//b',
      'a\\b',
      'a%5Cb',
      './dot',
      'C:/x',
      'both',
      'both/below',
      keyFromBytes(Buffer.from('caf\xe9', 'latin1')),
      'new\nline',
    ];
    const box = await requestOf(Object.fromEntries(odd.map((key) => [key, key.toWellFormed()])));
    await box.prepare();
    const entries = await box.zip();
    expect(entries.map(({ name, content }) => [name, content.toString()]).toSorted()).toEqual(
      [
        ['%2E%2E/up', '../up'],
        ['%2E/dot', './dot'],
        ['%2F/abs', '/abs'],
        ['C%3A/x', 'C:/x'],
        ['a%255Cb', 'a%5Cb'],
        ['a%5Cb', 'a\\b'],
        ['a/%2F/b', 'a//b'],
        ['both%2F', 'both'],
        ['both/below', 'both/below'],
        ['caf%E9', 'caf\ufffd'],
        ['new%0Aline', 'new\nline'],
      ].toSorted(),
    );
  });

  it('accepts times that a zip cannot hold, and thousands of files', async () => {
    const things: Things = {
      ancient: { modifiedAt: '1901-01-01T00:00:00.000Z' },
      far: { modifiedAt: '2500-01-01T00:00:00.000Z' },
      dateless: { modifiedAt: null },
    };
    for (let n = 0; n < 3000; n++) things[`many/${n}`] = `content ${n}`;
    const box = await requestOf(things);
    await box.prepare();
    const entries = await box.zip();
    expect(entries).toHaveLength(3003);
    for (const { name, content } of entries)
      if (name.startsWith('many/')) expect(content.toString()).toBe(`content ${name.slice(5)}`);
    expect(entries.find(({ name }) => name === 'ancient')?.modifiedAt).toMatch(/^1980/);
  });

  it('opens in other programs', async () => {
    const box = await requestOf({ 'a/größe.txt': 'x'.repeat(3000), 'a/big': noise(2 * mebibyte), 'b/': null });
    await box.prepare();
    const path = join(await testFolder(), 'a.zip');
    await writeFile(path, (await box.content()) ?? '');
    const test = 'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); print(z.testzip(), *sorted(z.namelist()))';
    const run = (program: string, args: string[]) => {
      const { status, stdout, error } = spawnSync(program, args, {
        encoding: 'utf8',
        env: { ...process.env, PYTHONIOENCODING: 'utf8' },
      });
      // A machine need not have these programs.
      return error ? 'absent' : [status, stdout.trim().split('\n').at(-1)];
    };
    expect(['absent', [0, 'None a/big a/größe.txt b/']]).toContainEqual(run('python3', ['-c', test, path]));
    expect(['absent', [0, `No errors detected in compressed data of ${path}.`]]).toContainEqual(
      run('unzip', ['-t', path]),
    );
  });

  it('is made once, however often the message comes and by however many workers', async () => {
    const box = await requestOf({ a: 'x', b: randomBytes(500_000) });
    await Promise.all([box.prepare(), box.prepare(), box.prepare()]);
    const before = await box.platform.blobs.get(box.blob);
    await box.prepare();
    expect(await box.platform.blobs.get(box.blob)).toEqual(before);
    expect(await box.state()).toMatchObject({ status: 'ready', size: (await box.content())?.length });
    expect(await box.platform.events.load(streamName(account, 'download', box.id))).toHaveLength(2);
    expect(await box.left()).toEqual([box.blob]);
  });

  it('is encrypted where it is stored', async () => {
    const box = await requestOf({ a: 'very private '.repeat(1000) });
    await box.prepare();
    expect(Buffer.from((await box.platform.blobs.get(box.blob)) ?? '').includes('private')).toBe(false);
    expect((await box.content())?.includes('very private')).toBe(true);
  });

  it('is left to another message when the deadline has passed at the start', async () => {
    const box = await requestOf({ a: 'x' });
    await handleMessage(deploymentOn(box.platform), box.event, { deadline: 0 });
    expect(await box.state()).toMatchObject({ status: 'preparing' });
    await box.prepare();
    expect(await box.state()).toMatchObject({ status: 'ready' });
  });

  it('fails with advice when it would have too many entries', async () => {
    for (const [things, status] of [
      [{ a: 'x', b: 'x', c: 'x' }, 'failed'],
      [{ a: 'x', b: 'x' }, 'done'],
    ] as const) {
      const box = await requestOf(things);
      const task = {
        ...{ ref: { account, group: box.id, name: 'export' }, state: {}, fence: 1, isOver: () => false },
        stop: new AbortController().signal,
        checkpoint: async () => {},
      };
      const outcome = await prepareDownload(deploymentOn(box.platform), task, 2).then(
        ({ type }) => type,
        () => 'failed',
      );
      expect(outcome).toBe(status);
    }
  });

  it('fails and names the damaged file instead of holding wrong bytes', async () => {
    for (const size of [1000, 3_000_000]) {
      const box = await requestOf({ 'docs/broken': randomBytes(size), z: 'fine' });
      await damage(box.platform);
      await box.prepare();
      expect(await box.status()).toEqual({
        status: 'failed',
        reason: { code: 'damaged', message: expect.stringMatching(/"docs\/broken".*without it/) },
      });
      expect(await box.left()).toEqual([]);
    }
  });

  it('fails when the manifest is lost, and does not end the process', async () => {
    const box = await requestOf({ 'docs/a': 'x' });
    const { items } = await box.platform.blobs.list(`manifests/${account}/`, { limit: 10 });
    await box.platform.blobs.delete(items.map(({ key }) => key));
    await box.prepare();
    expect(await box.status()).toEqual({
      status: 'failed',
      reason: { code: 'damaged', message: expect.stringMatching(/`asOf`/) },
    });
  });

  it('is tried again when the platform fails, and fails after the last try', async () => {
    const box = await requestOf({ a: 'x' });
    const putPart = async () => Promise.reject(new Error('disk full'));
    await box.prepareInTime({ ...box.platform, blobs: { ...box.platform.blobs, putPart } });
    expect(await box.status()).toMatchObject({
      status: 'failed',
      reason: { code: 'internal', message: expect.stringMatching(/again/) },
    });
    expect(await box.left()).toEqual([]);
  });

  it('expires within a day together with its blob, and is not made after that', async () => {
    const box = await requestOf({ a: 'x' });
    const late = await requestOf({ b: 'x' }, { on: box.platform });
    await box.prepare();
    box.platform.clock.now += 22 * hour;
    await maintainTasks(deploymentOn(box.platform));
    expect(await box.status()).toMatchObject({ status: 'ready' });
    box.platform.clock.now += hour;
    await expect(box.status()).rejects.toMatchObject({ code: 'gone', message: expect.stringMatching(/another/) });
    await late.prepare();
    await maintainTasks(deploymentOn(box.platform));
    expect(await box.left()).toEqual([]);
  });

  it('leaves nothing when it expires while it is made', async () => {
    const box = await requestOf({ a: noise(20 * mebibyte) });
    await handleMessage(deploymentOn(box.platform), box.event, sliceOf(40));
    expect((await box.left()).length).toBeGreaterThan(0);
    box.platform.clock.now += 24 * hour;
    await box.prepare();
    await maintainTasks(deploymentOn(box.platform));
    expect(await box.left()).toEqual([]);
    expect((await box.state()).status).toBe('preparing');
  });

  it('is refused and not made after its account or source was erased', async () => {
    const [made, unmade] = [await requestOf({ a: 'x' }), await requestOf({ a: 'x' })];
    await made.prepare();
    for (const box of [made, unmade]) await box.platform.keys.destroySubject(account, box.backupChain.sourceId);
    await unmade.prepare();
    expect(await unmade.platform.blobs.size(unmade.blob)).toBeUndefined();
    for (const box of [made, unmade]) await expect(box.status()).rejects.toMatchObject({ code: 'gone' });
    const erased = await requestOf({ a: 'x' });
    await erased.platform.keys.destroyAccount(account);
    await erased.prepare();
    expect(await erased.platform.blobs.size(erased.blob)).toBeUndefined();
  });

  it('logs only ids', async () => {
    const box = await requestOf({ 'private name': 'x' }, { paths: ['private name'] });
    await damage(box.platform);
    await box.prepare();
    expect(JSON.stringify(box.platform.lines)).not.toContain('private');
    for (const commit of await box.platform.events.load(streamName(account, 'download', box.id))) {
      expect('bytes' in commit.body && Buffer.from(commit.body.bytes).toString()).not.toContain('private');
    }
  });
});

describe('an export in slices', () => {
  const things: Things = { 'a/': { mode: 0o700 }, 'z/last': 'end', 'b/both': 'file', 'b/both/below': 'x' };
  for (let n = 0; n < 400; n++) things[`many/${n}`] = noise(n % 3 === 0 ? 30_000 : 50, n);
  things['huge/one'] = noise(21 * mebibyte, 1);
  things['huge/two'] = noise(9 * mebibyte, 2);

  it.each([
    ['a zip', 60, { paths: ['z', 'many', 'b/both', 'huge', 'a'] }],
    ['a file', 4, { paths: ['huge/one'], file: { version: 1 } }],
  ])('goes on after the last byte of %s, whatever the slices', async (_name, asks, options) => {
    const [whole, cut] = [await requestOf(things, options), await requestOf(things, options)];
    await whole.prepare();
    const expected = await whole.content();
    let n = 0;
    const meter = metered(cut.platform);
    await cut.prepare(() => sliceOf(asks + ((n++ * 37) % asks)), meter.platform);
    expect(n).toBeGreaterThan(4);
    expect((await cut.content())?.equals(expected ?? Buffer.alloc(0))).toBe(true);
    // A slice drops at most the read that it uses and the next one.
    expect(meter.bytes()).toBeLessThan((expected?.length ?? 0) + n * 17 * mebibyte);
    expect(await cut.left()).toEqual([cut.blob]);
  });

  it('is the same when its worker is killed at any write', async () => {
    const whole = await requestOf(things);
    await whole.prepare();
    const expected = await whole.content();
    const box = await requestOf(things);
    let deaths = 0;
    for (let n = 0; (await box.state()).status === 'preparing'; n++) {
      await box.prepare(() => sliceOf(60 + ((n * 53) % 200)), mortal(box.platform, 3 + (n % 5))).catch(() => deaths++);
      box.platform.clock.now += 61_000;
      await maintainTasks(deploymentOn(box.platform));
    }
    expect(deaths).toBeGreaterThan(5);
    expect(await box.state()).toMatchObject({ status: 'ready', size: expected?.length });
    expect((await box.content())?.equals(expected ?? Buffer.alloc(0))).toBe(true);
    expect(await box.left()).toEqual([box.blob]);
  });
});

describe('the exports of an account', () => {
  it('are one for the same content, however often it is requested', async () => {
    const box = await requestOf({ a: 'x', b: 'y' });
    const ask = async (n: number, paths = ['']) =>
      (await requestExport(box.platform, command(`repeat ${n}`), { ...box.request, paths })).id;
    expect(new Set(await Promise.all(Array.from({ length: 40 }, (_, n) => ask(n))))).toEqual(new Set([box.id]));
    await box.prepare();
    expect(await ask(41)).toBe(box.id);
    expect(await ask(42, ['a'])).not.toBe(box.id);
    expect(await ask(43, ['b', 'a'])).toBe(await ask(44, ['a', 'b']));
    await box.platform.blobs.delete([box.blob]);
    expect(await ask(45)).not.toBe(box.id);
  });

  it('are made again after one has failed or is about to expire', async () => {
    const box = await requestOf({ a: 'x' });
    const ask = async (n: number) => (await requestExport(box.platform, command(`repeat ${n}`), box.request)).id;
    await box.prepare();
    box.platform.clock.now += 22.5 * hour;
    const second = await ask(1);
    expect(second).not.toBe(box.id);
    const broken = await requestOf({ b: 'x' });
    await damage(broken.platform);
    await broken.prepare();
    const again = await requestExport(broken.platform, command('again'), broken.request);
    expect(again.id).not.toBe(broken.id);
  });

  it('are at most ten in preparation', async () => {
    const things = Object.fromEntries(Array.from({ length: 14 }, (_, n) => [`f${n}`, 'x']));
    const box = await requestOf(things, { paths: ['f0'] });
    const ask = (n: number) =>
      requestExport(box.platform, command(`another ${n}`), { ...box.request, paths: [`f${n}`] });
    const asked = await Promise.allSettled(Array.from({ length: 13 }, (_, n) => ask(n + 1)));
    expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(9);
    await expect(ask(13)).rejects.toMatchObject({ code: 'rate-limited', message: /when one of them is ready/ });
    await box.prepare();
    expect(await ask(13)).toMatchObject({ id: expect.stringMatching(/^dow_/) });
  });
});
