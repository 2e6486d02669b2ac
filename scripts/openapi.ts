/** `npm run openapi`: writes down what the API says of itself, and the types that the command line client has of it. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildApp } from '../api/app.ts';
import { routes } from '../api/routes/index.ts';
import { renderTypes } from '../cli/render-types.ts';
import type { Log } from '../domain/ports.ts';
import { openEmbedded } from '../infra/embedded/platform.ts';

const silent: Log = { info() {}, warn() {}, error() {}, measure() {} };

/** Path → text of every file that follows from the routes, as they should be. Nothing is written. */
export async function describedFiles(): Promise<{ [path: string]: string }> {
  const document = await describedApi();
  return {
    'docs/openapi.json': formatted('docs/openapi.json', document),
    'cli/api-types.ts': formatted('cli/api-types.ts', await renderTypes(document)),
  };
}

/** `GET /openapi.json` of an embedded home that is there for this alone. */
async function describedApi(): Promise<string> {
  const data = await mkdtemp(join(tmpdir(), 'listbackup-openapi-'));
  const { platform, close } = await openEmbedded({ data, log: silent, routes: [], environment: {} });
  const app = await buildApp({
    platform,
    deployment: 'self-hosted',
    connectorContext: () => ({ allowHosts: [] }),
    followers: [],
    rateScale: 0,
    routes,
  });
  try {
    return (await app.inject('/openapi.json')).body;
  } finally {
    await app.close();
    await close();
    await rm(data, { recursive: true, force: true });
  }
}

/** As `npm run format` would leave it. */
function formatted(path: string, text: string): string {
  const { status, stdout, stderr } = spawnSync('biome', ['format', `--stdin-file-path=${path}`], {
    input: text,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`biome does not format ${path}: ${stderr}`);
  return stdout;
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(await describedFiles())) {
    await writeFile(path, text);
    console.log(`wrote ${path}`);
  }
}
