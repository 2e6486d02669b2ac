/** `npm run openapi`: writes the OpenAPI document and the types of the command line client. */
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

/** Returns path → text of each file that is generated from the routes. Writes nothing. */
export async function describedFiles(): Promise<{ [path: string]: string }> {
  const document = await describedApi();
  return {
    'docs/openapi.json': formatted('docs/openapi.json', document),
    'cli/api-types.ts': formatted('cli/api-types.ts', await renderTypes(document)),
  };
}

/** Returns `GET /openapi.json` of a temporary self-hosted deployment. */
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

/** Returns `text` as `npm run format` formats it. */
function formatted(path: string, text: string): string {
  const { status, stdout, stderr } = spawnSync('biome', ['format', `--stdin-file-path=${path}`], {
    input: text,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`biome cannot format ${path}: ${stderr}`);
  return stdout;
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(await describedFiles())) {
    await writeFile(path, text);
    console.log(`wrote ${path}`);
  }
}
