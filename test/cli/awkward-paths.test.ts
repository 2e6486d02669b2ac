import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Cli, cliFor, testServerUrl } from '../support/cli.ts';

const latin = (name: string) => Buffer.from(name, 'latin1');

/** Returns the CLI of a new user with a backup of the folder `odd`. */
async function withOddNames(): Promise<Cli> {
  const cli = await cliFor(await testServerUrl());
  const folder = join(cli.config, 'odd');
  await mkdir(Buffer.concat([Buffer.from(`${folder}/`), latin('d\xe9/sub')]), { recursive: true });
  for (const name of ['new\nline.txt', 'back\\slash.txt', 'like\\xe9.txt', 'caf\xc3\xa9.txt', 'latin-\xe9.txt'])
    await writeFile(Buffer.concat([Buffer.from(`${folder}/`), latin(name)]), name);
  await writeFile(Buffer.concat([Buffer.from(`${folder}/`), latin('d\xe9/sub/in.txt')]), 'below');
  await symlink('latin', join(folder, 'link'));
  for (const args of [['register'], ['sources', 'add', 'folder', 'odd'], ['jobs', 'add', 'odd'], ['run', 'odd', '-f']])
    expect(await cli(...args)).toMatchObject({ code: 0 });
  return cli;
}

const listed = async (cli: Cli, ...args: string[]) => {
  const { code, stdout, stderr } = await cli('ls', ...args);
  expect(code, stderr).toBe(0);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.split('\t'))
    .map(([kind, , , path = '']) => ({ kind, path }));
};

test('every path that ls prints works in ls, versions and get', async () => {
  const cli = await withOddNames();
  const all = await listed(cli, '--recursive');
  expect(all.map(({ path }) => path).sort()).toEqual([
    'back\\\\slash.txt',
    'café.txt',
    'd\\xe9/',
    'd\\xe9/sub/',
    'd\\xe9/sub/in.txt',
    'latin-\\xe9.txt',
    'like\\\\xe9.txt',
    'link',
    'new\\u{a}line.txt',
  ]);
  for (const { kind, path } of all) {
    const output = `got${all.findIndex((other) => other.path === path)}`;
    if (kind === 'file') {
      expect(await cli('get', path, '-o', output), path).toMatchObject({ code: 0 });
      expect(await listed(cli, path)).toEqual([{ kind, path }]);
      expect((await cli('versions', path)).stdout).toMatch(/^1\t/);
    }
  }
  expect(await listed(cli, 'd\\xe9')).toEqual([{ kind: 'folder', path: 'd\\xe9/sub/' }]);
  expect(await listed(cli, 'odd:d\\xe9', '-r')).toEqual([
    { kind: 'folder', path: 'd\\xe9/sub/' },
    { kind: 'file', path: 'd\\xe9/sub/in.txt' },
  ]);
  expect((await cli('get', 'latin-\\xe9.txt', '-o', '-')).stdout).toBe('latin-é.txt');
  expect((await cli('find', 'latin')).stdout).toContain('latin-\\xe9.txt');

  expect(await cli('get', 'd\\xe9/sub')).toMatchObject({
    code: 1,
    stderr:
      'Error: The path `d\\xe9/sub` is not UTF-8. ' +
      'Get it in the zip of a folder above it with `listbackup get odd:`.\n',
  });
  expect(await cli('get', 'odd:', '-o', 'all.zip')).toMatchObject({ code: 0, stderr: '' });
  expect(await readFile(join(cli.config, 'all.zip'), 'latin1')).toContain('d%E9/sub/in.txt');
  expect(await cli('get', 'link')).toMatchObject({
    code: 1,
    stderr:
      'Error: `link` is a link and has no content. ' + 'Get it in the zip of its folder with `listbackup get odd:`.\n',
  });
});

test('the hint for a missing path names a folder that exists', async () => {
  const cli = await withOddNames();
  for (const [path, folder] of [
    ['D\\xe9/x', 'odd:'],
    ['../x', 'odd:'],
    ['link/x', 'odd:'],
    ['d\\xe9/sub/x/y', "'odd:d\\xe9/sub'"],
  ] as const) {
    const { code, stderr } = await cli('ls', path);
    expect([code, stderr]).toEqual([
      1,
      `Error: \`${path}\` does not exist in odd. List the folder above it with \`listbackup ls ${folder}\`.\n`,
    ]);
  }
  // Hints have the id if several sources have the name.
  const { stdout } = await cli('sources', 'add', 'folder', 'odd', '--json');
  const { id } = JSON.parse(stdout);
  const sources = JSON.parse((await cli('sources', '--json')).stdout);
  const first = sources.find((source: { id: string }) => source.id !== id).id;
  expect((await cli('ls', `${first}:x`)).stderr).toContain(`\`listbackup ls ${first}:\``);
  expect((await cli('ls', 'x')).stderr).toMatch(/for example `src_\w+:x`/);
});
