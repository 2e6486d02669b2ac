/** Backs up and restores every kind of name and entry that a file system can hold. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { realpath } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { parse } from 'content-disposition';
import { describe, expect, it, onTestFinished } from 'vitest';
import { compareKeys, keyFromBytes } from '../../domain/entry.ts';
import { startServer } from '../../infra/embedded/server.ts';
import { readSettings } from '../../infra/embedded/settings.ts';
import { zipName } from '../../processors/export/zip-names.ts';
import { free } from '../../processors/meter.ts';
import { type Client, client, type Run, runJob } from '../acceptance/client.ts';
import { expectClean } from '../support/check.ts';
import { silent, testFolder } from '../support/embedded.ts';
import { zipOf } from '../support/unzip.ts';
import { settle } from './killable-server.ts';

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

/** Names in many scripts and of arbitrary bytes. Some become equal if software normalizes them. */
const names = [
  'plain.txt',
  'Ünïcödé.md',
  'Ångström',
  'A\u030angstro\u0308m',
  'e\u0301',
  '\u00e9',
  '日本語.txt',
  'العربية',
  'हिन्दी',
  '\u202etxt.exe',
  '\u200b',
  '\ufeffbom',
  '\u{1f469}\u200d\u{1f680}',
  '\uffff',
  'CaSe',
  'case',
  'CON',
  'aux.txt',
  'nul',
  ' ',
  '  both sides  ',
  '...',
  '..x',
  'trailing dots..',
  '-rf',
  '~',
  'new\nline',
  'carriage\rreturn',
  'tab\t',
  '\u0001\u001b[31m\u007f',
  'back\\slash',
  '..\\up',
  'C:',
  'c:\\windows',
  '%2E%2E',
  '%5C',
  '100%',
  'per%20cent',
  '*?<>|"\'`$(x);&',
  '#fragment?query=1',
  'filename="x"; y',
  '__proto__',
  'constructor',
  'x'.repeat(255),
  'ü'.repeat(127),
  '字'.repeat(85),
];
const rawNames = [
  [0xff],
  [0xfe, 0x2e, 0x74, 0x78, 0x74],
  [0x61, 0xe9],
  [0xc3],
  [0xed, 0xb2, 0x80],
  [0xf4, 0x90, 0x80, 0x80],
  [0x80, ...Array(254).fill(0xbf)],
];

type Thing = {
  kind: string;
  size: number;
  sha256: string | null;
  modifiedAt: string | null;
  mode: number;
  content: string;
};

/** Everything below the folder by its path as bytes. Paths of folders end in a slash. */
function thingsIn(root: string): Map<string, Thing> {
  const things = new Map<string, Thing>();
  const visit = (folder: Buffer, prefix: string) => {
    for (const name of readdirSync(folder, { encoding: 'buffer' })) {
      const path = Buffer.concat([folder, Buffer.from('/'), name]);
      // In milliseconds the last nanoseconds would be rounded up to the next one
      const stat = lstatSync(path, { bigint: true });
      const key = prefix + name.toString('latin1');
      const about = {
        modifiedAt: new Date(Number(stat.mtimeNs / 1_000_000n)).toISOString(),
        mode: Number(stat.mode) & 0o777,
      };
      if (stat.isDirectory()) {
        things.set(`${key}/`, { kind: 'folder', size: 0, sha256: null, content: '', ...about });
        visit(path, `${key}/`);
      } else if (stat.isSymbolicLink()) {
        things.set(key, { kind: 'link', size: 0, sha256: null, content: readlinkSync(path, 'latin1'), ...about });
      } else if (stat.isFile()) {
        const bytes = readFileSync(path);
        things.set(key, {
          kind: 'file',
          size: bytes.length,
          sha256: sha256(bytes),
          content: bytes.toString('latin1'),
          ...about,
        });
      }
    }
  };
  visit(Buffer.from(root), '');
  return things;
}

function makeNames(root: string): void {
  const path = (...parts: (string | number[])[]) =>
    Buffer.concat([Buffer.from(`${root}/`), ...parts.map((part) => Buffer.from(part as string))]);
  mkdirSync(path('files'));
  mkdirSync(path('folders'));
  for (const name of [...names, ...rawNames]) {
    writeFileSync(path('files/', name), `content of ${Buffer.from(name as string).toString('hex')}`);
    mkdirSync(path('folders/', name));
    writeFileSync(path('folders/', name, '/inside'), 'inside');
  }
  mkdirSync(path('empty'));
  writeFileSync(path('nothing'), '');
  for (const mode of [0o000, 0o400, 0o644, 0o755, 0o777, 0o6755]) {
    writeFileSync(path(`mode ${mode.toString(8)}`), 'mode');
    chmodSync(path(`mode ${mode.toString(8)}`), mode);
  }
  for (const year of [1970, 1979, 1985, 2038, 2106, 2500]) {
    writeFileSync(path(`year ${year}`), 'time');
    utimesSync(path(`year ${year}`), new Date(), new Date(Date.UTC(year, 5, 1, 12, 0, 0)));
  }
  writeFileSync(path('one of two'), 'hard linked');
  linkSync(path('one of two'), path('two of two'));
  for (const [name, target] of [
    ['to outside', '/etc/passwd'],
    ['to outside by dots', '../../../../../../etc'],
    ['to itself', 'to itself'],
    ['to its folder', '.'],
    ['to nothing', 'nowhere'],
    ['to the root', '/'],
  ] as const)
    symlinkSync(target, path(name));
  symlinkSync(Buffer.from([0xfe, 0xff]), path('to raw'));
}

async function backedUp(source: string) {
  const data = await testFolder();
  const deployment = await startServer(
    readSettings([], { PORT: '0', LISTBACKUP_DATA: data, LISTBACKUP_RATE_LIMIT: '0' }),
    silent,
  );
  onTestFinished(() => deployment.close());
  const owner = await settle((token) => client(deployment.url, token), source);
  const api = client(deployment.url, owner.token);
  const run = await runJob(api, owner.jobId);
  const { platform } = deployment.embedded;
  const check = () =>
    expectClean(platform, {
      deployment: {
        platform,
        prices: free,
        connectors: () => ({ allowHosts: [], folders: { roots: 'any', never: [data] } }),
      },
    });
  return { api, owner, run, check };
}

const bytesOf = ({ path, pathBytes }: { path?: unknown; pathBytes?: unknown }) =>
  typeof pathBytes === 'string' ? Buffer.from(pathBytes, 'base64') : Buffer.from(String(path));

async function expectWhole(api: Client, sourceId: string, things: Map<string, Thing>, run: Run): Promise<void> {
  const keys = [...things.keys()];
  const listed = await api.all(`/data/files?sourceId=${sourceId}&recursive=true`);
  const found = new Map(
    listed.map((file) => [
      bytesOf(file).toString('latin1') + (file.kind === 'folder' ? '/' : ''),
      { kind: file.kind, size: file.size, sha256: file.sha256, modifiedAt: file.modifiedAt },
    ]),
  );
  const expected = new Map(
    [...things].map(([key, { kind, size, sha256, modifiedAt }]) => [key, { kind, size, sha256, modifiedAt }]),
  );
  expect(found).toEqual(expected);
  expect(listed.length).toBe(things.size);
  expect(run.progress.filesDone).toBe(keys.filter((key) => !key.endsWith('/')).length);
  expect(run.progress.filesFailed).toBe(0);
}

describe('awkward names and entries', () => {
  it('are backed up and restored unchanged, one by one and as a zip', async () => {
    const source = await realpath(await testFolder());
    makeNames(source);
    execFileSync('mkfifo', [join(source, 'pipe'), join(source, 'pipe\nnew line')]);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(source, 'socket'), resolve));
    onTestFinished(() => void server.close());
    const things = thingsIn(source);
    const { api, owner, run, check } = await backedUp(source);
    expect(run).toMatchObject({ status: 'succeeded', progress: { filesSkipped: 3 } });
    expect(run.errors.map(({ path, code }) => [path, code])).toEqual([
      ['pipe', 'pipe'],
      ['pipe\nnew line', 'pipe'],
      ['socket', 'socket'],
    ]);
    await expectWhole(api, owner.sourceId, things, run);

    for (const file of await api.all(`/data/files?sourceId=${owner.sourceId}&recursive=true`)) {
      const key = bytesOf(file).toString('latin1');
      expect((await api.all(`/data/files/${file.id}/versions`)).length, key).toBe(1);
      if (file.kind !== 'file') continue;
      const { url } = await api.expect(200, 'POST', '/data/download', { body: { fileId: file.id } });
      const response = await fetch(String(url));
      expect(Buffer.from(await response.arrayBuffer()).toString('latin1'), key).toBe(things.get(key)?.content);
      const disposition = response.headers.get('content-disposition') ?? '';
      expect(disposition).toMatch(/^attachment; filename=[\x20-\x7e]+$/);
      expect(parse(disposition).parameters.filename).toBe(String(file.path).split('/').at(-1));
    }

    const unzipped = await zipOf(api, owner.sourceId, ['']);
    const expected = [...things].map(([key, { kind, content, mode, modifiedAt }]) => {
      // The range of times in a zip
      const at = Math.min(Math.max(Date.parse(modifiedAt ?? ''), Date.UTC(1980, 0, 2)), Date.UTC(2107, 11, 31));
      return {
        name: zipName(keyFromBytes(Buffer.from(key, 'latin1'))) + (kind === 'folder' ? '/' : ''),
        kind,
        content,
        mode,
        year: new Date(at).getUTCFullYear(),
      };
    });
    const got = unzipped.map(({ name, kind, content, mode, modifiedAt }) => ({
      ...{ name, kind, content: content.toString('latin1'), mode, year: new Date(modifiedAt).getUTCFullYear() },
    }));
    const byName = (a: { name: string }, b: { name: string }) => compareKeys(a.name, b.name);
    expect(got.sort(byName)).toEqual(expected.sort(byName));
    expect(new Set(got.map(({ name }) => name)).size).toBe(got.length);

    for (const [query, path] of [
      ['new\nline', 'files/new\nline'],
      ['日本語', 'files/日本語.txt'],
      ['ångström', 'files/Ångström'],
      ['back\\slash', 'files/back\\slash'],
    ]) {
      const { items } = await api.expect(200, 'POST', '/data/search?limit=200', { body: { query, types: ['file'] } });
      expect(
        (items as { path: string }[]).map((item) => item.path),
        query,
      ).toContain(path);
    }
    await check();
  });

  it('are restored at depths beyond the longest path, and thousands in one folder', async () => {
    const source = await realpath(await testFolder());
    const parts = Array.from({ length: 300 }, (_, depth) => `${String(depth).padStart(3, '0')} ${'ü'.repeat(8)}`);
    const script = `const fs = require('fs');
      for (const part of process.argv.slice(1)) { fs.mkdirSync(part); process.chdir(part); }
      fs.writeFileSync('file', 'deep');`;
    execFileSync(process.execPath, ['-e', script, ...parts], { cwd: source });
    // Unlike the one of Node, this rm removes entries too deep for a path
    onTestFinished(() => void execFileSync('rm', ['-rf', source]));
    mkdirSync(join(source, 'wide'));
    for (let i = 0; i < 4_100; i++) writeFileSync(join(source, 'wide', `${i}`), String(i % 50));
    const { api, owner, run, check } = await backedUp(source);
    expect(run).toMatchObject({ status: 'succeeded', progress: { filesDone: 4_101, filesFailed: 0, filesSkipped: 0 } });

    const deep = `${parts.join('/')}/file`;
    expect(Buffer.byteLength(deep)).toBeGreaterThan(4_096);
    const listed = await api.all(`/data/files?sourceId=${owner.sourceId}&recursive=true`);
    expect(listed.length).toBe(300 + 1 + 1 + 4_100);
    const file = listed.find(({ path }) => path === deep);
    const { url } = await api.expect(200, 'POST', '/data/download', { body: { fileId: file?.id } });
    expect(await (await fetch(String(url))).text()).toBe('deep');
    expect((await api.all(`/data/files/${file?.id}/versions`)).length).toBe(1);
    expect((await api.all(`/data/files?sourceId=${owner.sourceId}&path=wide`)).map(({ name }) => name)).toEqual(
      Array.from({ length: 4_100 }, (_, i) => `${i}`).sort(compareKeys),
    );
    const unzipped = await zipOf(api, owner.sourceId, ['']);
    expect(unzipped.length).toBe(listed.length);
    expect(unzipped.find(({ name }) => name === deep)?.content.toString()).toBe('deep');
    await check();
  });

  it('are found below a root that is a link, and stay below that root', async () => {
    const [outside, real] = [await testFolder(), await testFolder()];
    writeFileSync(join(real, 'a'), 'inside');
    writeFileSync(join(outside, 'b'), 'outside');
    const source = join(outside, 'link');
    symlinkSync(real, source);
    symlinkSync(outside, join(real, 'out'));
    const { api, owner, run, check } = await backedUp(source);
    expect(run).toMatchObject({ status: 'succeeded' });
    const listed = await api.all(`/data/files?sourceId=${owner.sourceId}&recursive=true`);
    expect(listed.map(({ path, kind }) => [path, kind])).toEqual([
      ['a', 'file'],
      ['out', 'link'],
    ]);
    await check();
  });
});
