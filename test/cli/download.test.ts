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

/** Serves the content in ranges; the n-th answer breaks off after `cuts[n]` bytes. What was asked for is told. */
async function serving(cuts: (number | 'gone')[], bytes: Buffer = content) {
  const asked: string[] = [];
  const url = await testServer((request, response) => {
    const { range = '' } = request.headers;
    const cut = cuts[asked.length];
    asked.push(range);
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
  return { asked, address: async () => ({ url, size, sha256 }) };
}

test('goes on where the connection broke, as often as it takes, and with another address when one has expired', async () => {
  const { asked, address } = await serving([100_000, 50_000, 'gone']);
  const target = join(await testFolder(), 'made', 'file');
  const seen: number[] = [];
  await downloadTo(target, address, (received) => seen.push(received));
  expect((await readFile(target)).equals(content)).toBe(true);
  expect(asked).toHaveLength(4);
  expect(asked[0]).toBe('');
  expect(seen).toEqual(seen.toSorted((a, b) => a - b));
  expect(seen.at(-1)).toBe(size);
  expect(await readdir(join(target, '..'))).toEqual(['file']);
});

test('goes on with what an earlier call left, and begins again when that was damaged', async () => {
  for (const left of [
    content.subarray(0, 120_000),
    randomBytes(120_000),
    Buffer.concat([content, Buffer.from('more')]),
  ]) {
    const { asked, address } = await serving([]);
    const folder = await testFolder();
    const target = join(folder, 'file');
    await writeFile(`${target}.${sha256.slice(0, 12)}.part`, left);
    await downloadTo(target, address);
    expect((await readFile(target)).equals(content)).toBe(true);
    expect(await readdir(folder)).toEqual(['file']);
    expect(asked).toEqual(
      left.length > size ? [] : left.equals(content.subarray(0, 120_000)) ? ['bytes=120000-'] : ['bytes=120000-', ''],
    );
  }
});

test('the target does not appear with bytes that are not those that were backed up', async () => {
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

test('what arrived is kept when the connection does not come back', async () => {
  const { address } = await serving([100_000, ...Array.from({ length: 20 }, () => 0)]);
  const folder = await testFolder();
  await expect(downloadTo(join(folder, 'file'), address, () => {}, { tries: 3, pause: 1 })).rejects.toMatchObject({
    problem: { code: 'download-broken' },
  });
  const [part = '', ...others] = await readdir(folder);
  expect([part, others]).toEqual([`file.${sha256.slice(0, 12)}.part`, []]);
  const left = await readFile(join(folder, part));
  expect(left.length).toBeGreaterThan(0);
  expect(left.equals(content.subarray(0, left.length))).toBe(true);
});
