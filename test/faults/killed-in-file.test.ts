/** Kills the server (`kill -9`) in the middle of one large sparse file. Each life goes on at the last checkpoint. */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, expect, it } from 'vitest';
import { client, until } from '../acceptance/client.ts';
import { expectClean } from '../support/check.ts';
import { testFolder } from '../support/embedded.ts';
import { noise } from '../vault/vault-fixture.ts';
import {
  type KillableServer,
  killServers,
  type Owner,
  restored,
  settle,
  startKillableServer,
} from './killable-server.ts';

afterAll(killServers);

const MiB = 1024 * 1024;
/** Of which `small-limits.ts` makes some 40 checkpoints. */
const size = 48 * MiB + 5;
const kills = 5;
/** The checkpoint at which a life dies. */
const nth = 3;

async function start(data: string, fault = ''): Promise<KillableServer> {
  const server = await startKillableServer(data, fault);
  if (!server) throw new Error('The server died before it was ready.');
  return server;
}

/** Makes a job over one sparse file with islands. Returns its owner and the hash of the file. */
async function fill(data: string) {
  const source = await testFolder();
  const path = join(source, 'huge');
  writeFileSync(path, '');
  truncateSync(path, size);
  const file = openSync(path, 'r+');
  for (let i = 0; i < 12; i++) writeSync(file, noise(3 * MiB + i, i), 0, undefined, i * 4 * MiB + i * 1000);
  closeSync(file);
  const hash = createHash('sha256');
  await pipeline(createReadStream(path), hash);
  const server = await start(data);
  const owner = await settle((token) => client(server.url, token), source);
  return { server, owner, hash: hash.digest('hex') };
}

/** Waits for the end of the run. Returns the number of checkpoints in this life. */
async function finish(server: KillableServer, { token }: Owner, hash: string): Promise<number> {
  const api = client(server.url, token);
  const run = await until('the run ends', async () => (await api.all('/runs')).find(({ finishedAt }) => finishedAt));
  expect(run).toMatchObject({ status: 'succeeded', errors: [], progress: { filesDone: 1, bytesRead: size } });
  expect([...(await restored(api)).values()]).toEqual([hash]);
  return (await server.stop())['store:checkpoint'] ?? 0;
}

const startRun = (server: KillableServer, { token, jobId }: Owner) =>
  client(server.url, token).expect(202, 'POST', `/jobs/${jobId}/run`);

it('reads little again when it is killed five times, and stores every byte', async () => {
  const undisturbed = await fill(await testFolder());
  await startRun(undisturbed.server, undisturbed.owner);
  const usual = await finish(undisturbed.server, undisturbed.owner, undisturbed.hash);
  expect(usual).toBeGreaterThan((kills + 1) * nth);

  const data = await testFolder();
  const { server, owner, hash } = await fill(data);
  await server.stop();
  for (let kill = 0; kill < kills; kill++) {
    const doomed = await start(data, `store:checkpoint@${nth}`);
    if (kill === 0) await startRun(doomed, owner);
    expect(await doomed.ended).toBe('SIGKILL');
  }
  const last = await finish(await start(data), owner, hash);
  // Checkpoints have equal distances, so their number tells how much was read.
  expect(kills * nth + last).toBeLessThanOrEqual(usual + kills);
  await expectClean(data);
});
