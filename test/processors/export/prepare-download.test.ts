import { randomBytes } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { load } from '../../../activity/store.ts';
import { findZipDownload } from '../../../api/current-state.ts';
import { requestZipDownload } from '../../../commands/grant-download.ts';
import { type DownloadState, download } from '../../../domain/download.ts';
import { keyFromBytes } from '../../../domain/entry.ts';
import { streamName } from '../../../domain/event.ts';
import type { JsonObject, Platform } from '../../../domain/ports.ts';
import { sweep } from '../../../processors/backup/sweep.ts';
import type { Deployment } from '../../../processors/deployment.ts';
import { prepareDownload } from '../../../processors/export/prepare-download.ts';
import { free } from '../../../processors/meter.ts';
import { type Delivery, handleMessage } from '../../../processors/runner.ts';
import { type TestPlatform, testPlatform } from '../../support/api.ts';
import { makeBackupChain, type Things } from '../../support/backups.ts';
import { type Unzipped, unzip } from '../../support/unzip.ts';

const account = 'acc_ada';
const hour = 3_600_000;
const unbounded: Delivery = { receives: 1, deadline: Number.POSITIVE_INFINITY };
const command = (commandId: string) =>
  ({ account, actor: { type: 'user', id: 'usr_ada' }, commandId, correlationId: 'req_1' }) as const;

const deploymentOn = (platform: Platform): Deployment => ({
  platform,
  connectors: () => ({ allowHosts: [] }),
  prices: free,
});

/** Makes a backup of `things` and requests a zip of it. */
async function requestZip(things: Things, paths = [''], platform?: TestPlatform) {
  const box = platform ?? (await testPlatform());
  const backupChain = makeBackupChain(box, account);
  const { runId, manifest, at: backedUpAt } = await backupChain.backUp(things);
  const { sourceId, jobId } = backupChain;
  const { id } = await requestZipDownload(box, command(`zip of ${runId}`), {
    sourceId,
    jobId,
    runId,
    manifest,
    backedUpAt,
    paths,
  });
  const stream = streamName(account, 'download', id);
  const event: JsonObject = { type: 'download.requested.v1', account, stream, version: 1, index: 0 };
  const blob = `exports/${account}/${id}`;
  return {
    platform: box,
    backupChain,
    id,
    blob,
    event,
    prepare: (delivery = unbounded, on: Platform = box) => handleMessage(deploymentOn(on), event, delivery),
    status: () => findZipDownload(box, account, id),
    state: async (): Promise<DownloadState> => (await load(box, download, stream)).state,
    zip: async (): Promise<Unzipped[]> => unzip((await box.blobs.get(blob)) ?? Buffer.from('nothing')),
  };
}

/** Overwrites all packs, so that no content can be read. */
async function damage(platform: Platform): Promise<void> {
  const { items } = await platform.blobs.list(`packs/${account}/`, { limit: 1000 });
  expect(items.length).toBeGreaterThan(0);
  for (const { key, size } of items) await platform.blobs.put(key, new Uint8Array(size));
}

describe('a zip', () => {
  it('holds content, names, kinds, times and permissions of the selected entries', async () => {
    const big = randomBytes(3 * 1024 * 1024);
    const box = await requestZip(
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
      ['top', 'docs/'],
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
    const box = await requestZip(Object.fromEntries(odd.map((key) => [key, key.toWellFormed()])));
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
    const box = await requestZip(things);
    await box.prepare();
    const entries = await box.zip();
    expect(entries).toHaveLength(3003);
    for (const { name, content } of entries)
      if (name.startsWith('many/')) expect(content.toString()).toBe(`content ${name.slice(5)}`);
    expect(entries.find(({ name }) => name === 'ancient')?.modifiedAt).toMatch(/^1980/);
  });

  it('is made once, however often the message comes and by however many workers', async () => {
    const box = await requestZip({ a: 'x', b: randomBytes(500_000) });
    await Promise.all([box.prepare(), box.prepare(), box.prepare()]);
    const before = await box.platform.blobs.get(box.blob);
    await box.prepare();
    expect(await box.platform.blobs.get(box.blob)).toEqual(before);
    expect(await box.state()).toMatchObject({ status: 'ready', size: before?.length });
    expect(await box.platform.events.load(streamName(account, 'download', box.id))).toHaveLength(2);
  });

  it('counts when it was put before a crash, once the message comes again', async () => {
    const box = await requestZip({ a: 'x' });
    const { platform } = box;
    const crashing = {
      ...platform,
      events: { ...platform.events, append: async () => Promise.reject(new Error('crash')) },
    };
    await expect(box.prepare(unbounded, crashing)).rejects.toThrow('crash');
    const put = await platform.blobs.get(box.blob);
    expect(put).toBeDefined();
    const puts: string[] = [];
    const noted: Platform['blobs']['put'] = async (key) => {
      puts.push(key);
      return 'stored';
    };
    const watched = { ...platform, blobs: { ...platform.blobs, put: noted } };
    await box.prepare(unbounded, watched);
    expect(puts).toEqual([]);
    expect(await box.state()).toMatchObject({ status: 'ready', size: put?.length });
  });

  it('is made by another message when the process has to end', async () => {
    const box = await requestZip({ a: randomBytes(3_000_000) });
    let asks = 0;
    await box.prepare({
      receives: 5,
      get deadline() {
        return asks++ < 3 ? Number.POSITIVE_INFINITY : 0;
      },
    });
    expect(asks).toBeGreaterThan(3);
    expect(await box.platform.blobs.size(box.blob)).toBeUndefined();
    expect(await box.state()).toMatchObject({ status: 'preparing' });
    const [message] = await box.platform.queue.receive('data', { max: 1, visibilitySeconds: 60 });
    expect(message?.body).toEqual(box.event);
    await box.prepare();
    expect(await box.status()).toMatchObject({ status: 'ready' });
  });

  it('is left to another message when the deadline has passed at the start', async () => {
    const box = await requestZip({ a: 'x' });
    for (const deadline of [0, box.platform.now()]) await box.prepare({ receives: 1, deadline });
    expect(await box.state()).toMatchObject({ status: 'preparing' });
    expect(await box.platform.queue.receive('data', { max: 10, visibilitySeconds: 60 })).toMatchObject([
      { body: box.event },
      { body: box.event },
    ]);
  });

  it('fails with advice when the time limit of one message is too short', async () => {
    const box = await requestZip({ a: randomBytes(3_000_000) });
    const deadline = box.platform.now() + 1000;
    const slow = { ...box.platform, now: () => box.platform.clock.now++ };
    await box.prepare(
      {
        receives: 1,
        get deadline() {
          box.platform.clock.now += 500;
          return deadline;
        },
      },
      slow,
    );
    expect(await box.status()).toEqual({
      status: 'failed',
      reason: { code: 'too-large', message: expect.stringMatching(/fewer/) },
    });
    expect(await box.platform.blobs.size(box.blob)).toBeUndefined();
  });

  it('fails with advice when it would have too many entries', async () => {
    const box = await requestZip({ a: 'x', b: 'x', c: 'x' });
    await prepareDownload(deploymentOn(box.platform), box.event, unbounded, false, 2);
    expect(await box.status()).toEqual({
      status: 'failed',
      reason: { code: 'too-large', message: expect.stringMatching(/fewer/) },
    });
    const fits = await requestZip({ a: 'x', b: 'x' });
    await prepareDownload(deploymentOn(fits.platform), fits.event, unbounded, false, 2);
    expect(await fits.status()).toMatchObject({ status: 'ready' });
  });

  it('fails and names the damaged file instead of holding wrong bytes', async () => {
    for (const size of [1000, 3_000_000]) {
      const box = await requestZip({ 'docs/broken': randomBytes(size), z: 'fine' });
      await damage(box.platform);
      await box.prepare();
      expect(await box.status()).toEqual({
        status: 'failed',
        reason: { code: 'damaged', message: expect.stringMatching(/"docs\/broken".*without it/) },
      });
      expect(await box.platform.blobs.size(box.blob)).toBeUndefined();
    }
  });

  it('fails when the manifest is lost, and does not end the process', async () => {
    const box = await requestZip({ 'docs/a': 'x' });
    const { items } = await box.platform.blobs.list(`manifests/${account}/`, { limit: 10 });
    await box.platform.blobs.delete(items.map(({ key }) => key));
    await box.prepare();
    expect(await box.status()).toEqual({
      status: 'failed',
      reason: { code: 'damaged', message: expect.stringMatching(/`asOf`/) },
    });
    // An unhandled error of a stream would show here.
    await turn();
  });

  it('is tried again when the platform fails, and fails after the last try', async () => {
    const box = await requestZip({ a: 'x' });
    const failing = {
      ...box.platform,
      blobs: { ...box.platform.blobs, put: async () => Promise.reject(new Error('disk full')) },
    };
    for (const receives of [1, 2, 3, 4])
      await expect(box.prepare({ ...unbounded, receives }, failing)).rejects.toThrow('disk full');
    expect(await box.status()).toEqual({ status: 'preparing' });
    await box.prepare({ ...unbounded, receives: 5 }, failing);
    expect(await box.status()).toMatchObject({
      status: 'failed',
      reason: { code: 'internal', message: expect.stringMatching(/again/) },
    });
    // An unhandled rejection of the abandoned read would show here.
    await turn();
  });

  it('expires within a day together with its blob, and is not made after that', async () => {
    const box = await requestZip({ a: 'x' });
    const late = await requestZip({ b: 'x' }, [''], box.platform);
    await box.prepare();
    box.platform.clock.now += 22 * hour;
    await sweep(deploymentOn(box.platform));
    expect(await box.status()).toMatchObject({ status: 'ready' });
    box.platform.clock.now += hour;
    await expect(box.status()).rejects.toMatchObject({ code: 'gone', message: expect.stringMatching(/another/) });
    await late.prepare();
    await sweep(deploymentOn(box.platform));
    expect((await box.platform.blobs.list('exports/', { limit: 10 })).items).toEqual([]);
    await sweep(deploymentOn(box.platform));
  });

  it('is deleted when a worker put it after it expired and then crashed', async () => {
    const box = await requestZip({ a: 'a' });
    const dying = { ...box.platform.blobs };
    dying.put = async (key, body, options) => {
      const done = await box.platform.blobs.put(key, body, options);
      box.platform.clock.now += 24 * hour;
      await sweep(deploymentOn(box.platform));
      if (key.endsWith('.hashes')) dying.delete = () => Promise.reject(new Error('crashed'));
      return done;
    };
    dying.delete = (keys) => box.platform.blobs.delete(keys);
    await expect(box.prepare(unbounded, { ...box.platform, blobs: dying })).rejects.toThrow('crashed');
    await sweep(deploymentOn(box.platform));
    await box.prepare();
    expect((await box.platform.blobs.list('exports/', { limit: 10 })).items).toEqual([]);
  });

  it('is refused and not made after its account or source was erased', async () => {
    const [made, unmade] = [await requestZip({ a: 'x' }), await requestZip({ a: 'x' })];
    await made.prepare();
    for (const box of [made, unmade]) await box.platform.keys.destroySubject(account, box.backupChain.sourceId);
    await unmade.prepare();
    expect(await unmade.platform.blobs.size(unmade.blob)).toBeUndefined();
    for (const box of [made, unmade]) await expect(box.status()).rejects.toMatchObject({ code: 'gone' });
    const erased = await requestZip({ a: 'x' });
    await erased.platform.keys.destroyAccount(account);
    await erased.prepare();
    expect(await erased.platform.blobs.size(erased.blob)).toBeUndefined();
  });

  it('logs only ids', async () => {
    const box = await requestZip({ 'private name': 'x' }, ['private name']);
    await damage(box.platform);
    await box.prepare();
    expect(JSON.stringify(box.platform.lines)).not.toContain('private');
    for (const commit of await box.platform.events.load(streamName(account, 'download', box.id))) {
      expect('bytes' in commit.body && Buffer.from(commit.body.bytes).toString()).not.toContain('private');
    }
  });
});
