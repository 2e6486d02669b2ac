import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
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
