/** Zips that need ZIP64, as other programs read them. */
import { spawnSync } from 'node:child_process';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { crc32 } from 'node:zlib';
import { expect, it } from 'vitest';
import { openPromise } from 'yauzl';
import {
  descriptor,
  directoryEnd,
  directoryRecord,
  localHeader,
  type ZipRecord,
} from '../../../processors/export/zip-format.ts';
import { testFolder } from '../../support/embedded.ts';

const at = Date.UTC(2026, 0, 2, 3, 4, 6);
const recordOf = (name: string, size: number): ZipRecord => ({
  ...{ name: Buffer.from(name), size, mode: 0o100644, isFolder: false, modifiedAt: at },
});

/** What Python prints. Undefined where there is no Python. */
function python(path: string, code: string): string | undefined {
  const script = `import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); ${code}`;
  const { error, stdout, stderr } = spawnSync('python3', ['-c', script, path], { encoding: 'utf8' });
  return error ? undefined : stdout.trim() + stderr;
}

it('a zip of more than 65,535 entries has all of them', async () => {
  const count = 70_000;
  const [headers, records]: Uint8Array[][] = [[], []];
  let length = 0;
  for (let n = 0; n < count; n++) {
    const record = { ...recordOf(`f${n}`, 0), crc: 0 };
    const header = localHeader(record);
    headers?.push(header);
    records?.push(directoryRecord(record, 0, length));
    length += header.length;
  }
  const directory = Buffer.concat(records ?? []);
  const path = join(await testFolder(), 'many.zip');
  await writeFile(path, Buffer.concat([...(headers ?? []), directory, directoryEnd(count, length, directory.length)]));
  const zip = await openPromise(path);
  expect(zip.entryCount).toBe(count);
  zip.close();
  expect([undefined, `${count} f69999`]).toContain(python(path, 'print(len(z.namelist()), z.namelist()[-1])'));
});

it('a file of more than 4 GiB and one behind it are found', async () => {
  const size = 2 ** 32 + 5;
  const path = join(await testFolder(), 'large.zip');
  const file = await open(path, 'w');
  let length = 0;
  const write = async (bytes: Uint8Array) => {
    await file.write(bytes, 0, bytes.length, length);
    length += bytes.length;
  };
  const large = recordOf('large', size);
  await write(localHeader(large));
  // A hole: the test does not read this content, so its CRC-32 does not matter.
  length += size;
  await write(descriptor(large, 7));
  const content = Buffer.from('behind it');
  const small = { ...recordOf('small', content.length), crc: crc32(content) };
  const smallAt = length;
  await write(Buffer.concat([localHeader(small), content]));
  const start = length;
  await write(Buffer.concat([directoryRecord(large, 7, 0), directoryRecord(small, small.crc, smallAt)]));
  await write(directoryEnd(2, start, length - start));
  await file.close();

  const zip = await openPromise(path);
  const found: [string, number, string][] = [];
  for await (const entry of zip.eachEntry()) {
    const text = entry.fileName === 'small' ? await buffer(await zip.openReadStreamPromise(entry)) : '';
    found.push([entry.fileName, entry.uncompressedSize, text.toString()]);
    expect(entry.getLastModDate().getTime()).toBe(at);
  }
  zip.close();
  expect(found).toEqual([
    ['large', size, ''],
    ['small', content.length, 'behind it'],
  ]);
  const code = 'print(z.getinfo("large").file_size, z.read("small").decode(), z.getinfo("small").date_time)';
  expect([undefined, `${size} behind it (2026, 1, 2, 3, 4, 6)`]).toContain(python(path, code));
});
