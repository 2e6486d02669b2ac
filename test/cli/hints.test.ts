import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fromServer } from '../../cli/refusal.ts';
import { type Cli, cliFor, testServerUrl } from '../support/cli.ts';

/** Returns the CLI of a new user with the folder source `Documents`. */
async function withDocuments(): Promise<Cli> {
  const cli = await cliFor(await testServerUrl());
  await mkdir(join(cli.config, 'Documents'));
  await writeFile(join(cli.config, 'Documents', 'a.txt'), 'a');
  expect(await cli('register')).toMatchObject({ code: 0 });
  expect(await cli('sources', 'add', 'folder', 'Documents')).toMatchObject({
    code: 0,
    stderr: 'The first run checks the path.\nAdd a job for it with `listbackup jobs add Documents`.\n',
  });
  return cli;
}

test('hints name the program as the user started it', async () => {
  const cli = await cliFor('http://127.0.0.1:1');
  const npx = { env: { npm_command: 'exec' } };
  const [bare, error, json, help] = await Promise.all([
    cli('sources'),
    cli.start(['sources'], npx).ended,
    cli.start(['sources', '--json'], npx).ended,
    cli.start(['login', '--help'], npx).ended,
  ]);
  expect(bare.stderr).toContain('Run `listbackup login`, or choose another server with --url.');
  expect(error.stderr).toContain('Run `npx listbackup login`, or choose another server with --url.');
  expect(JSON.parse(json.stderr).detail).toContain('Run `npx listbackup login`');
  expect(help.stdout).toContain('Usage: npx listbackup login');
  expect(help.stdout.replaceAll(/\s+/g, ' ')).toContain('until `npx listbackup logout`');
});

test('a change without a change, or of keys that a folder does not have, is an error', async () => {
  const cli = await withDocuments();
  expect(await cli('sources', 'change', 'Doc')).toEqual({
    code: 64,
    stdout: '',
    stderr: 'Error: Nothing to change. Give --name or --new-keys.\n',
  });
  expect(await cli('sources', 'change', 'Doc', '--new-keys')).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('This source is a folder and has no keys.'),
  });
});

test('a second source or job of the same name is reported, and the next hint has its id', async () => {
  const cli = await withDocuments();
  const source = await cli('sources', 'add', 'folder', 'Documents');
  const [, id = ''] = /\((src_\w+)\)/.exec(source.stdout) ?? [];
  expect(source.stderr).toContain(
    'Another source is called Documents. ' +
      `Rename this one with \`listbackup sources change ${id} --name <name>\`.\n` +
      `Add a job for it with \`listbackup jobs add ${id}\`.\n`,
  );
  expect((await cli('jobs', 'add', id)).stderr).toBe('Run it with `listbackup run Documents --follow`.\n');
  expect((await cli('jobs', 'add', id)).stderr).toMatch(
    /^Another job is called Documents\. Rename this one with `listbackup jobs rename (job_\w+) <name>`\.\nRun it with `listbackup run \1 --follow`\.\n$/,
  );
});

test('says how to go on after a wrong source, run or limit', async () => {
  const cli = await withDocuments();
  await cli('jobs', 'add', 'Documents');
  const run = JSON.parse((await cli('run', 'Documents', '--follow', '--json')).stdout);
  const [wrong, cancelled, cut, files] = await Promise.all([
    cli('ls', 'Foo:letters'),
    cli('runs', 'cancel', run.id),
    cli('activity', '--limit', '2'),
    cli('ls'),
  ]);
  expect(files).toMatchObject({ code: 0, stdout: expect.stringContaining('a.txt') });
  expect(wrong).toMatchObject({
    code: 1,
    stderr:
      'Error: No source is called Foo, and Documents has no path Foo:letters. ' +
      'List sources with `listbackup sources`.\n',
  });
  expect(cancelled).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(
      new RegExp(`^Error: The run has ended\\. .*See its result with \`listbackup runs show ${run.id}\`\\.\\n$`),
    ),
  });
  expect(cut.stderr).toBe('More than 2 events match. Raise --limit to see more.\n');

  await cli('sources', 'add', 'folder', 'Documents', '--name', 'Photos');
  expect(await cli('ls', 'Foo:letters')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('No source is called Foo. Write one of your sources before the colon.'),
  });
});

test('refuses a day that does not exist, and searches as of a time', async () => {
  const cli = await withDocuments();
  await cli('jobs', 'add', 'Documents');
  const before = new Date().toISOString();
  const { code, stdout } = await cli('run', 'Documents');
  expect([code, stdout]).toEqual([0, expect.stringMatching(/^run_\w+\n$/)]);
  expect(await cli('runs', 'follow', stdout.trim())).toMatchObject({ code: 0 });
  expect(await cli('ls', '--as-of', '2026-02-30')).toMatchObject({
    code: 64,
    stderr: expect.stringContaining('Use an existing time like'),
  });
  expect(await cli('ls', '--as-of', '2024-02-29')).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('There is no backup of Documents as of 2024-02-29T'),
  });
  expect((await cli('find', 'a', '--as-of', before)).stderr).toBe('No files match.\n');
  expect((await cli('find', 'a', '--as-of', new Date().toISOString())).stdout).toContain('a.txt');
});

test('an error of a file system names the target of get, not its part', async () => {
  const cli = await withDocuments();
  await cli('jobs', 'add', 'Documents');
  await cli('run', 'Documents', '-f');
  const long = 'n'.repeat(250);
  const { code, stderr } = await cli('get', 'a.txt', '-o', long);
  expect(code).toBe(1);
  expect(stderr).toContain(`open '${long}'`);
  expect(stderr).not.toContain('.part');
});

test.each([
  [
    'a list of one source',
    {},
    'Repeat the command with `--as-of 2026-01-01` to use the one before it. ' +
      'To make a new one, run the job again with `listbackup run <job>`.',
  ],
  [
    'a list of all sources',
    { next: '{}' },
    'Repeat the command with `--source src_1 --as-of 2026-01-01` to use the one before it. ' +
      'To make a new one, run the job again with `listbackup run <job>`. ' +
      'To get another source, repeat the command with `--source <source>`.',
  ],
])('a damaged restore point in %s leads to options of the command', (_name, more, next) => {
  const document = { title: '', code: 'backup-damaged', detail: 'Use the one before it with asOf=…' };
  const facts = { sourceId: 'src_1', runId: 'run_1', at: '2026-01-02', asOf: '2026-01-01' };
  expect(fromServer({ ...document, ...facts, ...more }, 'http://x/data/files').problem.detail).toBe(
    `The restore point of run run_1 (2026-01-02) is damaged. ${next}`,
  );
});

test.each([
  ['runs', 'fllow', 'run_x'],
  ['jobs', 'x', '--json'],
  ['sources', 'x'],
])('an unknown command of a group is called unknown: %s %s', async (group, word, ...more) => {
  const cli = await cliFor('http://127.0.0.1:1');
  const { code, stderr } = await cli(group, word, ...more);
  expect(code).toBe(64);
  expect(stderr).toContain(`unknown command '${word}'. Run \`listbackup ${group} --help\` to see the commands.`);
  expect(stderr).not.toContain('too many arguments');
});

test.each([
  ['E-mail address', ['login'], 'The e-mail address is missing. Set --email or LISTBACKUP_EMAIL.'],
  ['Access key', ['sources', 'add', 's3', 'b'], 'The access key ID is missing. Set AWS_ACCESS_KEY_ID'],
])('names the missing value: %s', async (_name, args, message) => {
  const cli = await cliFor('http://127.0.0.1:1', { LISTBACKUP_EMAIL: '' });
  expect(await cli(...args)).toMatchObject({ code: 64, stderr: expect.stringContaining(message) });
});

test('retries a failed run, and says why another run cannot be retried or paused', async () => {
  const cli = await withDocuments();
  await cli('jobs', 'add', 'Documents');
  const folder = join(cli.config, 'Documents');
  await rename(folder, `${folder}-moved`);
  const failed = await cli('run', 'Documents', '--follow', '--json');
  expect(failed.code).toBe(1);
  await rename(`${folder}-moved`, folder);
  const retry = await cli('runs', 'retry', JSON.parse(failed.stdout).id);
  expect(retry).toMatchObject({ code: 0, stdout: expect.stringMatching(/^run_\w+\n$/) });
  const id = retry.stdout.trim();
  expect(retry.stderr).toBe(`Follow it with \`listbackup runs follow ${id}\`.\n`);
  const ended = await cli('runs', 'follow', id, '--json');
  expect(JSON.parse(ended.stdout)).toMatchObject({ status: 'succeeded', trigger: 'retry' });
  expect(await cli('runs', 'retry', id, '--follow')).toMatchObject({
    ...{ code: 1, stdout: '' },
    stderr: `Error: The run has nothing to retry. Run ${id} saved all files. Start a new run with \`listbackup run <job>\`.\n`,
  });
  expect((await cli('runs', 'pause', id)).stderr).toContain(`See its result with \`listbackup runs show ${id}\`.`);
});
