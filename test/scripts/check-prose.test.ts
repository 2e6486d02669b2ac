import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it, onTestFinished } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/check-prose.ts', import.meta.url));

/** Runs the check in a repository that holds one file. */
async function check(name: string, text: string, subject = 'docs: say it') {
  const folder = await mkdtemp(join(tmpdir(), 'listbackup-prose-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, name), text);
  const git = (...args: string[]) => execFileSync('git', args, { cwd: folder, stdio: 'pipe' });
  git('init');
  git('add', '--all');
  git('-c', 'user.name=a', '-c', 'user.email=a@example.com', 'commit', '-m', subject);
  const { status, stderr } = spawnSync(process.execPath, [script], { cwd: folder, encoding: 'utf8' });
  return { status, problems: stderr.split('\n').filter(Boolean) };
}

const longSentence = `${Array.from({ length: 30 }, () => 'word').join(' ')}.`;

it.each([
  ['an old term', 'a.md', 'Each noun has a stream.\n', '"noun" is an old term: write aggregate'],
  ['an old term in an identifier', 'a.ts', 'const sealedBytes = 1;\n', 'write encrypt, commit or close'],
  ['an old term in a string', 'a.ts', "throw new Error('The worker gave up.');\n", 'abandon'],
  ['an old term in a workflow', 'a.yml', 'name: check the rivals\n', 'concurrent worker'],
  ['a wide comment', 'a.ts', `// ${'wordword '.repeat(16)}\n`, 'columns, at most 120'],
  ['a wide paragraph', 'a.md', `${'wordword '.repeat(16)}\n`, 'columns, at most 120'],
  ['a semicolon', 'a.ts', '/** Bytes; 0 for folders. */\n', 'write two sentences'],
])('reports %s', async (_, name, text, problem) => {
  const { status, problems } = await check(name, text);
  expect(problems).toEqual([expect.stringContaining(problem)]);
  expect(status).toBe(1);
});

it('reports a share of long sentences, and a long subject', async () => {
  const lines = longSentence.split(' ');
  const text = `${lines.slice(0, 15).join(' ')}\n${lines.slice(15).join(' ')}\n`;
  expect(await check('a.md', text)).toMatchObject({ status: 1 });
  expect((await check('a.md', 'Fine.\n', `docs: ${'x'.repeat(80)}`)).problems).toEqual([
    expect.stringContaining('86 characters, at most 72'),
  ]);
});

it('accepts plain prose, code in comments and long addresses', async () => {
  const text = `/**\n * Adds one. See https://example.com/${'x'.repeat(100)}\n *\n *     const a = 1; b();\n */\n`;
  expect(await check('a.ts', text)).toEqual({ status: 0, problems: [] });
});
