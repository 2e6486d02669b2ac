/** The bundles of the functions: what a cold start reads, and that every chunk works. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bundle } from '../../../infra/cdk/code.ts';
import { readAtStart, serveSecrets } from '../../support/bundle.ts';

let out: string;
beforeAll(() => {
  out = mkdtempSync(join(tmpdir(), 'bundle-'));
  bundle('api', out);
});
afterAll(() => rmSync(out, { recursive: true, force: true }));

/** Sends GET requests for `paths` to the bundled handler, as Lambda does. A local server answers for the secrets. */
async function request(paths: string[]): Promise<{ statusCode: number; body: string }[]> {
  const ssm = await serveSecrets();
  const program = `
    const { handler } = await import(process.argv[1]);
    const answers = [];
    for (const path of process.argv.slice(2)) {
      const http = { method: 'GET', path, protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'test' };
      const requestContext = { http, domainName: 'api.example.com', requestId: 'test', stage: '$default' };
      const event = { version: '2.0', rawPath: path, rawQueryString: '', headers: {}, requestContext };
      const { statusCode, body } = await handler(event, {});
      answers.push({ statusCode, body });
    }
    process.stdout.write(JSON.stringify(answers), () => process.exit());`;
  const env = {
    PATH: process.env.PATH,
    STAGE: 'test',
    TABLE_PREFIX: 'test-',
    LIVE_URL: 'wss://live.example.com',
    AWS_ENDPOINT_URL: ssm.endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
  try {
    const args = ['--input-type=module', '-e', program, join(out, 'index.mjs'), ...paths];
    const { stdout } = await promisify(execFile)(process.execPath, args, { env, maxBuffer: 64 * 1024 * 1024 });
    return JSON.parse(stdout) as { statusCode: number; body: string }[];
  } finally {
    ssm.close();
  }
}

test('a cold start of the API reads at most 1.3 MB', () => {
  const bytes = readAtStart(out).reduce((sum, file) => sum + statSync(join(out, file)).size, 0);
  expect(bytes).toBeLessThanOrEqual(1_300_000);
});

test('the API bundle starts and serves routes from chunks that it imports later', async () => {
  const [health, description, page] = await request(['/health', '/openapi.json', '/docs/']);
  expect(health).toMatchObject({ statusCode: 200, body: expect.stringContaining('"ok"') });
  expect(description?.statusCode).toBe(200);
  expect(JSON.parse(description?.body ?? '')).toEqual(
    JSON.parse(readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8')),
  );
  expect(page).toMatchObject({ statusCode: 200, body: expect.stringContaining('ListBackup API') });
});

test('every chunk of the data-queue bundle can be imported', async () => {
  const worker = join(out, 'worker');
  bundle('data-queue', worker);
  const files = readdirSync(worker).filter((file) => file.endsWith('.mjs'));
  const program =
    'for (const file of process.argv.slice(1)) await import(file); process.stdout.write("read", () => process.exit());';
  const env = { PATH: process.env.PATH, STAGE: 'test', TABLE_PREFIX: 'test-', AWS_REGION: 'us-east-1' };
  const args = ['--input-type=module', '-e', program, ...files.map((file) => join(worker, file))];
  expect((await promisify(execFile)(process.execPath, args, { env })).stdout).toBe('read');
});
