import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { downloadThrough, downloadTo } from '../../cli/download.ts';
import { testServer } from '../support/cli.ts';
import { testFolder } from '../support/embedded.ts';

const content = randomBytes(300_000);
const sha256 = createHash('sha256').update(content).digest('hex');
const size = content.length;

/** Serves the content in ranges. The n-th answer ends after `cuts[n]` bytes. `ranges` are the requested ranges. */
async function serving(cuts: (number | 'gone')[], bytes: Buffer = content) {
  const ranges: string[] = [];
  const url = await testServer((request, response) => {
    const { range = '' } = request.headers;
    const cut = cuts[ranges.length];
    ranges.push(range);
    if (cut === 'gone') return response.writeHead(410).end();
    const start = Number(/bytes=(\d+)-/.exec(range)?.[1] ?? 0);
    const part = bytes.subarray(start);
    response.writeHead(range ? 206 : 200, {
      'content-length': part.length,
      ...(range ? { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` } : {}),
    });
    if (cut === undefined) return response.end(part);
    return response.write(part.subarray(0, cut), () => response.destroy());
  });
  return { ranges, address: async () => ({ url, size, sha256 }) };
}

test('continues after each broken connection, and with a new address after one expired', async () => {
  const { ranges, address } = await serving([100_000, 50_000, 'gone']);
  const target = join(await testFolder(), 'made', 'file');
  const progress: number[] = [];
  await downloadTo(target, address, (received) => progress.push(received));
  expect((await readFile(target)).equals(content)).toBe(true);
  expect(ranges).toHaveLength(4);
  expect(ranges[0]).toBe('');
  expect(progress).toEqual(progress.toSorted((a, b) => a - b));
  expect(progress.at(-1)).toBe(size);
  expect(await readdir(join(target, '..'))).toEqual(['file']);
});

test('continues the part of an earlier call, and starts again if the part is damaged', async () => {
  for (const left of [
    content.subarray(0, 120_000),
    randomBytes(120_000),
    Buffer.concat([content, Buffer.from('more')]),
  ]) {
    const { ranges, address } = await serving([]);
    const folder = await testFolder();
    const target = join(folder, 'file');
    await writeFile(`${target}.${sha256.slice(0, 12)}.part`, left);
    await downloadTo(target, address);
    expect((await readFile(target)).equals(content)).toBe(true);
    expect(await readdir(folder)).toEqual(['file']);
    expect(ranges).toEqual(
      left.length > size ? [] : left.equals(content.subarray(0, 120_000)) ? ['bytes=120000-'] : ['bytes=120000-', ''],
    );
  }
});

test('does not create the target if the bytes do not match the hash', async () => {
  const { address } = await serving([], Buffer.concat([content.subarray(1), Buffer.from('x')]));
  const folder = await testFolder();
  await expect(downloadTo(join(folder, 'file'), address)).rejects.toMatchObject({
    problem: { code: 'checksum-mismatch' },
  });
  expect(await readdir(folder)).toEqual([]);
  await expect(downloadThrough(async () => {}, address)).rejects.toMatchObject({
    problem: { code: 'checksum-mismatch' },
  });
});

test('keeps the received bytes if the server stays unreachable', async () => {
  const { address } = await serving([100_000, ...Array.from({ length: 20 }, () => 0)]);
  const folder = await testFolder();
  await expect(downloadTo(join(folder, 'file'), address, () => {}, { attempts: 3, pause: 1 })).rejects.toMatchObject({
    problem: { code: 'download-broken' },
  });
  const [part = '', ...others] = await readdir(folder);
  expect([part, others]).toEqual([`file.${sha256.slice(0, 12)}.part`, []]);
  const left = await readFile(join(folder, part));
  expect(left.length).toBeGreaterThan(0);
  expect(left.equals(content.subarray(0, left.length))).toBe(true);
});

test('ends at once with the problem of a server that finds damage', async () => {
  const asked: string[] = [];
  const url = await testServer((request, response) => {
    asked.push(request.headers.range ?? '');
    if (asked.length === 1) {
      response.writeHead(200, { 'content-length': size });
      return response.write(content.subarray(0, 1000), () => response.destroy());
    }
    const detail =
      'Choose another `version` with GET /data/files/{id}/versions, or POST /jobs/{id}/run. The doctor helps.';
    response.writeHead(409, { 'content-type': 'application/problem+json; charset=utf-8' });
    return response.end(JSON.stringify({ title: 'The backup is damaged', status: 409, code: 'damaged', detail }));
  });
  const target = join(await testFolder(), 'file');
  await expect(downloadTo(target, async () => ({ url, size, sha256 }))).rejects.toMatchObject({
    problem: {
      code: 'damaged',
      detail:
        'Choose another `--version` with `listbackup versions <path>`, or `listbackup run <job>`. `listbackup doctor` helps.',
    },
  });
  expect(asked).toEqual(['', expect.stringMatching(/^bytes=/)]);
});
