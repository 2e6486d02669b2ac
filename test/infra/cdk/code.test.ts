/** What a start of the API has to read: little, and the rest when it comes to it. */
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

const atStart = () => readAtStart(out);
const textOf = (file: string) => readFileSync(join(out, file), 'utf8');
const readLater = () => readdirSync(out).filter((file) => file.endsWith('.mjs') && !atStart().includes(file));
const holds = (files: string[], words: string) => files.some((file) => textOf(file).includes(words));

test('a start reads two files, of at most 1 MB together', () => {
  expect(atStart()).toHaveLength(2);
  const bytes = atStart().reduce((sum, file) => sum + statSync(join(out, file)).size, 0);
  expect(bytes).toBeLessThanOrEqual(1_000_000);
});

test('what most starts do not need is read later', () => {
  const clients = [
    'TrentService',
    'AmazonSQS',
    'AWSEvents',
    'AWSCognitoIdentityProviderService',
    'AmazonSSM',
    'ListBucketResult',
  ];
  const description = ['scalar-app', 'securitySchemes'];
  const routes = ['Sign up', 'List jobs', 'Browse what was backed up'];
  for (const words of [...clients, ...description, ...routes, 'IdempotencyItemAlreadyExists', '/proc/self/fd']) {
    expect({ words, later: holds(readLater(), words), atStart: holds(atStart(), words) }).toEqual({
      words,
      later: true,
      atStart: false,
    });
  }
});

test('what is never called is not there, and nothing is imported that makes all of HTTP or of the process', () => {
  // semver, pino, Ajv, yaml
  for (const words of ['COERCERTL', 'pino-raw-err-ref', 'Ajv', 'YAMLParseError']) {
    expect({ words, there: holds(atStart(), words) }).toEqual({ words, there: false });
  }
  const imported = [...atStart(), ...readLater()].flatMap(
    (file) => textOf(file).match(/\b(?:from|import\()"node:(?:http2?|process)"/g) ?? [],
  );
  expect(imported).toEqual([]);
});

/** Starts the code as Lambda does, with secrets from a server of this process, and asks it for those paths. */
async function ask(paths: string[]): Promise<{ statusCode: number; body: string }[]> {
  const ssm = await serveSecrets();
  const program = `
    const { handler } = await import(process.argv[1]);
    const answers = [];
    for (const path of process.argv.slice(2)) {
      const http = { method: 'GET', path, protocol: 'HTTP/1.1', sourceIp: '192.0.2.1', userAgent: 'test' };
      const requestContext = { http, domainName: 'api.example.com', requestId: 'test', stage: '$default' };
      const event = { version: '2.0', rawPath: path, rawQueryString: '', headers: {}, requestContext, isBase64Encoded: false };
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

test('it starts, and answers also with what it reads later', async () => {
  const [health, description, page] = await ask(['/health', '/openapi.json', '/docs/']);
  expect(health).toMatchObject({ statusCode: 200, body: expect.stringContaining('"ok"') });
  expect(description?.statusCode).toBe(200);
  expect(JSON.parse(description?.body ?? '')).toEqual(
    JSON.parse(readFileSync(new URL('../../../docs/openapi.json', import.meta.url), 'utf8')),
  );
  expect(page).toMatchObject({ statusCode: 200, body: expect.stringContaining('ListBackup API') });
});

test('what starts a worker, with all that it reads later, can be read: nothing that stands in for a package is missed', async () => {
  const worker = join(out, 'worker');
  bundle('data-queue', worker);
  const files = readdirSync(worker).filter((file) => file.endsWith('.mjs'));
  const program =
    'for (const file of process.argv.slice(1)) await import(file); process.stdout.write("read", () => process.exit());';
  const env = { PATH: process.env.PATH, STAGE: 'test', TABLE_PREFIX: 'test-', AWS_REGION: 'us-east-1' };
  const args = ['--input-type=module', '-e', program, ...files.map((file) => join(worker, file))];
  expect((await promisify(execFile)(process.execPath, args, { env })).stdout).toBe('read');
});
