/**
 * Runs schemathesis against a fresh `npm start` that has a backup. It sends requests that it derives from the OpenAPI
 * document, with a token, and follows the links.
 */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { pythonWith } from '../../scripts/venv.ts';
import { listFiles, newPerson, runJob, until } from '../acceptance/client.ts';
import { testFolder } from '../support/embedded.ts';
import { npmStart } from '../support/npm-start.ts';
import { type Document, operationsOf } from './attack/document.ts';

const file = (name: string) => fileURLToPath(new URL(`schemathesis/${name}`, import.meta.url));

/** Resolves to the exit code and the output. */
async function schemathesis(python: string, url: string, token: string): Promise<{ code: number; output: string }> {
  // schemathesis stores data for its next run in the working directory.
  const cwd = await testFolder();
  const args = [
    '-m',
    'schemathesis.cli',
    '--config-file',
    file('schemathesis.toml'),
    'run',
    `${url}/openapi.json`,
    '--no-color',
  ];
  const env = { PATH: process.env.PATH, HOME: cwd, LANG: 'C.UTF-8', PYTHONDONTWRITEBYTECODE: '1' };
  const withToken = { ...env, LISTBACKUP_TOKEN: token, SCHEMATHESIS_HOOKS: file('hooks.py') };
  return new Promise((resolve) => {
    execFile(
      python,
      args,
      { cwd, env: withToken, maxBuffer: 64 << 20, timeout: 1_780_000 },
      (error, stdout, stderr) => {
        resolve({
          code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1,
          output: stdout + stderr,
        });
      },
    );
  });
}

let python: string;
// The installation has its own time limit.
beforeAll(async () => {
  python = await pythonWith('schemathesis');
}, 1_800_000);

test('finds no answer outside the OpenAPI document and no internal error', {
  timeout: 1_800_000,
}, async () => {
  const folder = await testFolder();
  await Promise.all(['a.txt', 'b.csv', 'c'].map((name) => writeFile(join(folder, name), `some text in ${name}`)));
  const deployment = await npmStart({ LISTBACKUP_RATE_LIMIT: '0' });
  let errors = '';
  for (const stream of [deployment.process.stdout, deployment.process.stderr]) {
    stream?.on('data', (text) => {
      errors += `${text}`.includes('request failed') ? text : '';
    });
  }
  onTestFinished(async () => void (await deployment.stop()));
  const { api, token } = await newPerson(deployment.url);
  const source = await api.expect(201, 'POST', '/sources', {
    body: { type: 'folder', name: 'Files', config: { path: folder } },
  });
  const job = await api.expect(201, 'POST', '/jobs', { body: { name: 'Nightly', sourceId: source.id } });
  await runJob(api, String(job.id));
  await until('the files are listed', async () =>
    (await listFiles(api, `sourceId=${source.id}`)).length === 3 ? true : undefined,
  );

  const { code, output } = await schemathesis(python, deployment.url, token);
  expect(errors).toBe('');
  expect(code, output).toBe(0);
  const described = operationsOf((await api.expect(200, 'GET', '/openapi.json')) as unknown as Document).length;
  expect(output).toContain(`Tested: ${described}`);
  for (const phase of ['Examples', 'Coverage', 'Fuzzing', 'Stateful'])
    expect(output).toMatch(new RegExp(`✅ ${phase}`));
});
