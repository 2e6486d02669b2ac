/** The task `export`: zips and large files, made in slices by workers that may die anywhere. */
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { requestExport } from '../../../commands/grant-download.ts';
import { keyFromBytes } from '../../../domain/entry.ts';
import { streamName } from '../../../domain/event.ts';
import { prepareDownload } from '../../../processors/export/prepare-download.ts';
import { maintain } from '../../../processors/maintain.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { testPlatform } from '../../support/api.ts';
import type { Things } from '../../support/backups.ts';
import { testFolder } from '../../support/embedded.ts';
import { noise } from '../../vault/vault-fixture.ts';
import { account, command, damage, deploymentOn, requestOf, sliceOf } from './requested.ts';
import { testSlices } from './slices.ts';

const hour = 3_600_000;
const mebibyte = 1024 * 1024;

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
    await maintain(deploymentOn(box.platform));
    expect(await box.status()).toMatchObject({ status: 'ready' });
    box.platform.clock.now += hour;
    await expect(box.status()).rejects.toMatchObject({ code: 'gone', message: expect.stringMatching(/another/) });
    await late.prepare();
    await maintain(deploymentOn(box.platform));
    expect(await box.left()).toEqual([]);
  });

  it('leaves nothing when it expires while it is made', async () => {
    const box = await requestOf({ a: noise(20 * mebibyte) });
    await handleMessage(deploymentOn(box.platform), box.event, sliceOf(40));
    expect((await box.left()).length).toBeGreaterThan(0);
    box.platform.clock.now += 24 * hour;
    await box.prepare();
    await maintain(deploymentOn(box.platform));
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

describe('an export in slices', () => testSlices(testPlatform, false));

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
