/** A seeded folder, and the changes between two backups. */
import { mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '../../activity/commit.ts';
import { makeChaos } from '../../infra/embedded/chaos.ts';

/** The bytes are generated once, because that takes most of the time of a corpus. */
const made = new Map<string, Buffer>();

function bytes(seed: number, length: number): Buffer {
  const known = made.get(`${seed} ${length}`);
  if (known) return known;
  const { chance } = makeChaos(seed);
  const content = Buffer.from(
    Array.from({ length }, () => Number(chance(0.5)) * 61 + Number(chance(0.5)) * 17 + Number(chance(0.5)) * 3 + 32),
  );
  made.set(`${seed} ${length}`, content);
  return content;
}

/** Writes files of many sizes, also empty and equal ones, a link, and names that are neither ASCII nor UTF-8. */
export async function makeCorpus(root: string): Promise<void> {
  for (const folder of ['', 'a', 'a/b', 'empty', 'photos', 'zurück'])
    await mkdir(join(root, folder), { recursive: true });
  await writeFile(join(root, 'a.txt'), 'in the order of bytes this is before the folder a');
  await writeFile(join(root, 'nothing'), '');
  for (let i = 0; i < 6; i++) await writeFile(join(root, 'a/b', `report ${i}.csv`), bytes(i, 500 * (i + 1)));
  for (let i = 0; i < 4; i++) await writeFile(join(root, 'photos', `${i}.jpg`), bytes(20 + (i % 3), 40_000));
  await writeFile(join(root, 'photos', 'large.bin'), bytes(30, 150_000));
  await writeFile(join(root, 'zurück', 'ünï.md'), 'ü'.repeat(1000));
  await writeFile(
    Buffer.concat([Buffer.from(`${root}/zurück/`), Buffer.from([0x66, 0xff, 0xfe])]),
    'not UTF-8 by name',
  );
  await symlink('../a.txt', join(root, 'a/link'));
}

/** Changes, deletes, renames and adds some files. Most stay unchanged. */
export async function changeCorpus(root: string): Promise<void> {
  await writeFile(join(root, 'a.txt'), 'changed');
  await writeFile(join(root, 'photos', 'large.bin'), Buffer.concat([bytes(30, 100_000), bytes(31, 60_000)]));
  await writeFile(join(root, 'nothing'), 'something');
  await rm(join(root, 'a/b/report 1.csv'));
  await rm(join(root, 'zurück'), { recursive: true });
  await rename(join(root, 'photos/3.jpg'), join(root, 'photos/three.jpg'));
  await mkdir(join(root, 'new/deep'), { recursive: true });
  for (let i = 0; i < 5; i++) await writeFile(join(root, 'new/deep', `${i}`), bytes(40 + i, 300));
}

/** The hash of each file below the folder, by its path as bytes. */
export async function hashesOf(root: string): Promise<Map<string, string>> {
  const hashes = new Map<string, string>();
  const visit = async (folder: Buffer): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true, encoding: 'buffer' })) {
      const path = Buffer.concat([folder, Buffer.from('/'), entry.name]);
      if (entry.isDirectory()) await visit(path);
      if (entry.isFile())
        hashes.set(path.subarray(Buffer.byteLength(root) + 1).toString('latin1'), sha256(await readFile(path)));
    }
  };
  await visit(Buffer.from(root));
  return hashes;
}
