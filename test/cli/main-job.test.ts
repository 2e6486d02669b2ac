import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fromBuffer } from 'yauzl';
import { cliFor, type Ended, testServerUrl } from '../support/cli.ts';

/** Returns the output of a command that must succeed. */
async function outputOf(running: Promise<Ended>): Promise<string> {
  const { code, stdout, stderr } = await running;
  expect(code, stderr).toBe(0);
  return stdout;
}

const rows = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => line.split('\t'));

test('backs up, follows, searches and restores a folder with the CLI alone', async () => {
  const cli = await cliFor(await testServerUrl());
  const folder = join(cli.config, 'Letters');
  await mkdir(join(folder, 'old'), { recursive: true });
  await mkdir(join(folder, 'empty'));
  await writeFile(join(folder, 'old', 'an invoice.txt'), 'first');
  await writeFile(join(folder, 'letter.md'), 'dear');

  await outputOf(cli('register'));
  // A relative path starts at the current folder of the CLI.
  const source = JSON.parse(await outputOf(cli('sources', 'add', 'folder', 'Letters', '--exclude', '*.tmp', '--json')));
  expect(source).toMatchObject({ type: 'folder', name: 'Letters', config: { path: folder, exclude: ['*.tmp'] } });
  await outputOf(cli('jobs', 'add', 'letters', '--name', 'Nightly'));

  const first = await cli('run', 'night', '--follow');
  expect(first).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^succeeded.*run_\w+\n {2}2 files: 2 saved\n {2}9 B read, /),
  });
  expect(first.stderr).toContain('100%');
  expect(`${first.stdout}${first.stderr}`).not.toContain('\u001b');

  const [all, below, found, empty] = await Promise.all([
    outputOf(cli('ls')),
    outputOf(cli('ls', 'Letters:old/', '--json')),
    outputOf(cli('find', 'INVOICE', '--type', 'txt', '--max-size', '1KiB')),
    cli('ls', 'empty'),
  ]);
  expect(rows(all).map(([kind, size, , path]) => [kind, size, path])).toEqual([
    ['folder', '-', 'empty/'],
    ['file', '4', 'letter.md'],
    ['folder', '-', 'old/'],
  ]);
  const [file, ...others] = JSON.parse(below);
  expect([file.path, file.versions, others]).toEqual(['old/an invoice.txt', 1, []]);
  expect(rows(found).map((cells) => cells.at(-1))).toEqual(['old/an invoice.txt']);
  expect(empty).toEqual({ code: 0, stdout: '', stderr: 'The folder is empty.\n' });

  await writeFile(join(folder, 'old', 'an invoice.txt'), 'second');
  const between = new Date().toISOString();
  await rm(join(folder, 'letter.md'));
  const second = JSON.parse(await outputOf(cli('run', 'Nightly', '--follow', '--json')));
  expect(second).toMatchObject({ status: 'succeeded', progress: { filesDone: 1, filesDeleted: 1, percent: 100 } });

  const [versions, old, asOf, byId, gone] = await Promise.all([
    outputOf(cli('versions', 'old/an invoice.txt', '--json')),
    outputOf(cli('get', 'old/an invoice.txt', '--version', '1', '-o', '-')),
    outputOf(cli('get', 'letter.md', '--as-of', between, '-o', 'got/letter.md', '--json')),
    outputOf(cli('get', file.id, '-o', 'newest')),
    cli('get', 'letter.md'),
  ]);
  expect(
    JSON.parse(versions).map(({ version, runId }: { version: number; runId: string }) => [
      version,
      runId === second.id,
    ]),
  ).toEqual([
    [2, true],
    [1, false],
  ]);
  expect(old).toBe('first');
  expect(JSON.parse(asOf)).toEqual({ path: 'got/letter.md', size: 4 });
  expect(await readFile(join(cli.config, 'got/letter.md'), 'utf8')).toBe('dear');
  expect(byId).toBe('newest  6 B\n');
  expect(await readFile(join(cli.config, 'newest'), 'utf8')).toBe('second');
  expect(gone).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(
      '`letter.md` does not exist in Letters. List the folder above it with `listbackup ls Letters:`',
    ),
  });

  const [zip, taken, runs, activity] = await Promise.all([
    outputOf(cli('get', 'Letters:')),
    cli('get', 'old/an invoice.txt', '-o', 'newest'),
    outputOf(cli('runs', '--limit', '1')),
    outputOf(cli('activity', '--type', 'run.requested', '--json')),
  ]);
  expect(zip).toMatch(/^Letters\.zip {2}/);
  expect((await entriesOf(join(cli.config, 'Letters.zip'))).sort()).toEqual(['empty/', 'old/', 'old/an invoice.txt']);
  expect(taken).toMatchObject({ code: 1, stderr: expect.stringContaining('--force') });
  expect(await readFile(join(cli.config, 'newest'), 'utf8')).toBe('second');
  expect(rows(runs).map(([id, job, status]) => [id, job, status])).toEqual([[second.id, 'Nightly', 'succeeded']]);
  expect(JSON.parse(activity).map(({ type }: { type: string }) => type)).toEqual([
    'run.requested.v1',
    'run.requested.v1',
  ]);
});

test('finds a source by the beginning of its name if only one matches, and keeps backups of a removed source', async () => {
  const cli = await cliFor(await testServerUrl());
  const folder = join(cli.config, 'a');
  await mkdir(folder);
  await writeFile(join(folder, 'kept.txt'), 'kept');
  await outputOf(cli('register'));
  await outputOf(cli('sources', 'add', 'folder', 'a', '--name', 'Photos 2025'));
  const { id } = JSON.parse(await outputOf(cli('sources', 'add', 'folder', 'a', '--name', 'photos: 2026', '--json')));
  await outputOf(cli('jobs', 'add', 'photos: 2026'));
  await outputOf(cli('run', 'photos', '-f'));

  const [ambiguous, unknown, which, kept] = await Promise.all([
    cli('sources', 'show', 'phot', '--json'),
    cli('jobs', 'add', 'music'),
    cli('ls', 'kept.txt'),
    outputOf(cli('get', 'photos: 2026:kept.txt', '-o', '-')),
  ]);
  expect(ambiguous).toMatchObject({ code: 1, stdout: '' });
  expect(JSON.parse(ambiguous.stderr)).toMatchObject({ code: 'ambiguous', detail: expect.stringContaining(id) });
  expect(unknown).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/No source is called music.*Photos 2025 \(src_/),
  });
  expect(which).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('Write the source and a colon before the path'),
  });
  expect(kept).toBe('kept');

  const unconfirmed = await cli('sources', 'remove', id);
  expect(unconfirmed).toMatchObject({
    code: 64,
    stderr: 'Error: Nothing was removed. Repeat the command with --yes.\n',
  });
  await outputOf(cli('sources', 'remove', id, '--yes'));
  expect(rows(await outputOf(cli('sources'))).map(([, name]) => name)).toEqual(['Photos 2025']);
  expect(await outputOf(cli('get', `${id}:kept.txt`, '-o', '-'))).toBe('kept');
});

function entriesOf(path: string): Promise<string[]> {
  return readFile(path).then(
    (bytes) =>
      new Promise((resolve, reject) => {
        fromBuffer(bytes, (error, zip) => {
          if (error) return reject(error);
          const names: string[] = [];
          zip.on('entry', ({ fileName }) => names.push(fileName));
          zip.on('end', () => resolve(names));
          zip.on('error', reject);
        });
      }),
  );
}
