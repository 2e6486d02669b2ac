/**
 * The disk of the self-hosted deployment fills in the middle of a run. Requests get an answer that says what to do.
 * Stored data stays readable, and no unfinished work is marked as done. Once there is space, work continues by itself.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Log } from '../../domain/ports.ts';
import { startServer } from '../../infra/embedded/server.ts';
import { readSettings } from '../../infra/embedded/settings.ts';
import { type Body, type Client, client, until } from '../acceptance/client.ts';
import { expectClean } from '../support/check.ts';
import { testFolder } from '../support/embedded.ts';
import { changeCorpus, hashesOf, makeCorpus } from './corpus.ts';
import { blobsDisk, type Disk, databaseDisk, mountedDisk } from './filled-disk.ts';
import { restored, settle } from './killable-server.ts';
import { smallLimits } from './small-limits.ts';

/** A server over `data` and a source with one backup and later changes. `at` sets the callback for each later step. */
async function backedUpServer(data: string, disk: Disk) {
  const source = await testFolder();
  await makeCorpus(source);
  let reached: (step: string) => void | Promise<void> = () => {};
  const failures: unknown[] = [];
  const log: Log = {
    info() {},
    warn() {},
    measure() {},
    error: (_message, _fields, error) => void failures.push(error),
  };
  const settings = readSettings([], { PORT: '0', LISTBACKUP_DATA: data });
  const deployment = await startServer(settings, log, {
    limits: smallLimits,
    watch: (platform) => disk.watch(platform),
    sharedBlobs: disk.isOfBlobs ?? false,
    reached: (step) => reached(step),
  });
  let closed = false;
  const close = async () => {
    if (!closed) await deployment.close();
    closed = true;
  };
  onTestFinished(close);
  const owner = await settle((token) => client(deployment.url, token), source);
  const api = client(deployment.url, owner.token);
  const run = async () => String((await api.expect(202, 'POST', `/jobs/${owner.jobId}/run`)).id);
  expect(await end(api, await run())).toMatchObject({ status: 'succeeded' });
  await changeCorpus(source);
  const at = (callback: typeof reached) => {
    reached = callback;
  };
  return { api, owner, source, run, close, failures, at };
}

function end(api: Client, id: string): Promise<Body> {
  return until(`run ${id} ends`, async () => {
    const run = await api.expect(200, 'GET', `/runs/${id}`);
    return run.finishedAt === null ? undefined : run;
  });
}

/** Fills the disk when a run first reaches that step. Resolves when the disk is full. */
function fillAt(
  deployment: { at(callback: (step: string) => void | Promise<void>): void },
  disk: Disk,
  step: string,
): Promise<void> {
  const filled = Promise.withResolvers<void>();
  let done = false;
  deployment.at(async (now) => {
    if (now !== step || done) return;
    done = true;
    await disk.fill();
    filled.resolve();
  });
  return filled.promise;
}

const advice = expect.stringMatching(/is full.*Free some space/);
const newSource = (path: string) => ({ body: { type: 'folder', name: 'Another', config: { path } } });

/** Expects that reads are answered while the disk is full. */
async function expectReadable(api: Client, before: Map<string, string>): Promise<void> {
  expect(await listedHashes(api)).toEqual(before);
  expect((await api.all('/runs')).length).toBeGreaterThan(0);
  expect((await api.all('/sources')).length).toBeGreaterThan(0);
  // More requests than the rate limit allows without a write of the shared counter
  for (let i = 0; i < 130; i++) await api.expect(200, 'GET', '/me');
}

/** The listed hash of each file. A download needs a write to the log, so it is refused while the disk is full. */
async function listedHashes(api: Client): Promise<Map<string, string>> {
  const files = (await api.all('/data/files?recursive=true')).filter(({ kind }) => kind === 'file');
  return new Map(files.map(({ path, sha256 }) => [String(path), String(sha256)]));
}

async function expectWhole(deployment: Awaited<ReturnType<typeof backedUpServer>>, data: string): Promise<void> {
  expect(await restored(deployment.api)).toEqual(await hashesOf(deployment.source));
  expect(await readdir(join(data, 'blobs', '.unfinished'))).toEqual([]);
  await deployment.close();
  await expectClean(data);
}

describe('a full disk', () => {
  it('of blobs fails run and zip with advice, and keeps no half-written blob', async () => {
    const data = await testFolder();
    const disk = blobsDisk();
    const deployment = await backedUpServer(data, disk);
    const { api, owner } = deployment;
    const before = await restored(api);
    const askForZip = async () =>
      (await api.expect(202, 'POST', '/data/download', { body: { sourceId: owner.sourceId, paths: [''] } })).id;
    const zipEnd = (id: unknown) =>
      until('the zip is there or not', async () => {
        const look = await api.expect(200, 'GET', `/data/downloads/${id}`);
        return look.status === 'preparing' ? undefined : look;
      });
    const filled = fillAt(deployment, disk, 'plan:advanced');
    const id = await deployment.run();
    await filled;
    const zip = await askForZip();
    expect(await end(api, id)).toMatchObject({ status: 'failed', errors: [{ code: 'storage-full', message: advice }] });
    expect(await zipEnd(zip)).toMatchObject({ status: 'failed', error: { code: 'storage-full', message: advice } });
    // Another batch may still make its last attempt when the run ends
    await until('nothing is half-written', async () =>
      (await readdir(join(data, 'blobs', '.unfinished'))).length === 0 ? true : undefined,
    );
    expect(await restored(api)).toEqual(before);

    await disk.free();
    expect(await end(api, await deployment.run())).toMatchObject({ status: 'succeeded' });
    expect(await zipEnd(await askForZip())).toMatchObject({ status: 'ready' });
    await expectWhole(deployment, data);
  });

  it.each(['plan:listed', 'store:packed', 'commit:manifest-written', 'feed:projected'])(
    'of the database at %s makes the run wait unfinished and continue by itself',
    async (step) => {
      const data = await testFolder();
      const disk = databaseDisk();
      await waitsAndGoesOn(data, disk, step);
    },
  );

  it('of the whole data folder makes the run wait unfinished and continue by itself', async (context) => {
    const data = await testFolder();
    const disk = await mountedDisk(data, 48);
    if (!disk) return context.skip('this user cannot mount a file system. The cases above need none.');
    await waitsAndGoesOn(data, disk, 'store:fetched');
  });
});

async function waitsAndGoesOn(data: string, disk: Disk, step: string): Promise<void> {
  const deployment = await backedUpServer(data, disk);
  const { api, failures } = deployment;
  const before = await listedHashes(api);
  const filled = fillAt(deployment, disk, step);
  const id = await deployment.run();
  await filled;

  const refused = await until('writes are refused', async () => {
    const answer = await api.call('POST', '/sources', newSource(deployment.source));
    return answer.status === 201 ? undefined : answer;
  });
  expect(refused).toMatchObject({ status: 507, body: { code: 'storage-full', detail: advice } });
  expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  await until('work fails too', async () => (failures.length > 0 ? true : undefined));
  await expectReadable(api, before);
  expect(await api.expect(200, 'GET', `/runs/${id}`)).toMatchObject({ finishedAt: null });

  await disk.free();
  expect(await end(api, id)).toMatchObject({ status: 'succeeded' });
  await expectWhole(deployment, data);
}
