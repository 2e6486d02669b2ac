/** Measures the start of the API function, with and without V8's code cache, and its CPU time per request. */
import { execFile } from 'node:child_process';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bundle, bundleFile } from '../infra/cdk/code.ts';
import { readAtStart, serveSecrets } from '../test/support/bundle.ts';
import { median } from './report.ts';

const run = promisify(execFile);
const script = fileURLToPath(new URL('api-process.ts', import.meta.url));

type Start = { importMilliseconds: number; firstMilliseconds: number; cpuMilliseconds: number; microseconds: number };

/** Prints a Markdown table. Every start is a new process. A server in this process provides the secrets. */
export async function measureApi(folder: string, rounds: number, print: (line: string) => void): Promise<void> {
  const [api, bare] = [join(folder, 'api'), join(folder, 'bare')];
  bundle('api', api);
  bundleFile(fileURLToPath(new URL('bare-api.ts', import.meta.url)), bare);
  const secrets = await serveSecrets();
  try {
    const env = environment(secrets.endpoint);
    const cached = { ...env, NODE_COMPILE_CACHE: join(folder, 'cache') };
    const rows: [string, string, { [name: string]: string }][] = [
      ['ListBackup', api, env],
      ['ListBackup, with a code cache', api, cached],
      ['the bare adapter', bare, env],
    ];
    // Take turns, so that other load affects all of them. The first start fills the caches.
    const starts = rows.map((): Start[] => []);
    for (const [, code, variables] of rows) await start(code, variables, 0);
    for (let i = 0; i < rounds; i++) {
      for (const [row, [, code, variables]] of rows.entries()) starts[row]?.push(await start(code, variables, 2000));
    }
    print(
      '| function | read at the start | import, ms | first answer, ms | together, ms | at least, ms | CPU, ms | CPU a request, µs |',
    );
    print('| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |');
    for (const [row, [name, code]] of rows.entries()) {
      const all = starts[row] ?? [];
      const together = (each: Start) => each.importMilliseconds + each.firstMilliseconds;
      const of = (value: (each: Start) => number) => median(all.map(value)).toFixed(0);
      const cells = [
        name,
        `${((await bytesAtStart(code)) / 1e6).toFixed(2)} MB`,
        of((each) => each.importMilliseconds),
        of((each) => each.firstMilliseconds),
        of(together),
        Math.min(...all.map(together)).toFixed(0),
        of((each) => each.cpuMilliseconds),
        of((each) => each.microseconds),
      ];
      print(`| ${cells.join(' | ')} |`);
    }
    print(
      `\nMedians of ${rounds}. The API's chunks: ${(await readdir(api)).filter((file) => file.endsWith('.mjs')).length}, most of them read later.`,
    );
  } finally {
    secrets.close();
  }
}

/** Bytes of the entry and its static imports. */
async function bytesAtStart(code: string): Promise<number> {
  const sizes = await Promise.all(readAtStart(code).map(async (file) => (await stat(join(code, file))).size));
  return sizes.reduce((sum, size) => sum + size, 0);
}

async function start(code: string, env: { [name: string]: string }, calls: number): Promise<Start> {
  const { stdout } = await run(process.execPath, [script, join(code, 'index.mjs'), String(calls)], { env });
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Start;
}

function environment(endpoint: string): { [name: string]: string } {
  const names = [
    'DATA_BUCKET',
    'KEYS_BUCKET',
    'EVENT_BUS_NAME',
    'USER_POOL_ID',
    'USER_POOL_CLIENT_ID',
    'KEY_ID',
    'SIGNING_KEY_ID',
  ];
  return {
    ...Object.fromEntries(names.map((name) => [name, 'bench'])),
    PATH: process.env.PATH ?? '',
    STAGE: 'bench',
    TABLE_PREFIX: 'bench-',
    JOB_QUEUE_URL: `${endpoint}/job`,
    DATA_QUEUE_URL: `${endpoint}/data`,
    LIVE_URL: 'wss://live.example.com',
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: 'us-east-1',
    AWS_ACCESS_KEY_ID: 'bench',
    AWS_SECRET_ACCESS_KEY: 'bench',
  };
}
