/** The engine pool with its real worker: a store pauses when it is asked to, and another call goes on. */
import { hash } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { fileBlobs } from '../../../infra/embedded/blobs.ts';
import { openEnginePool } from '../../../infra/embedded/engine-pool.ts';
import type { PlanStep, StoreRequest } from '../../../processors/backup/engine.ts';
import type { Saved } from '../../../processors/backup/work.ts';
import { decodeList, partAad } from '../../../vault/part.ts';
import { smallLimits } from '../../faults/small-limits.ts';
import { silent, testFolder } from '../../support/embedded.ts';
import { memoryRecords } from '../../support/memory-ports.ts';
import { account, keys, noise } from '../../vault/vault-fixture.ts';

const MiB = 1024 * 1024;

it('pauses a store in the middle of a file when time is up, and goes on in another call', async () => {
  const [data, path] = [await testFolder(), await testFolder()];
  const files = { root: join(data, 'blobs'), temporary: join(data, 'tmp') };
  for (const folder of Object.values(files)) await mkdir(folder);
  const platform = { records: memoryRecords(), blobs: fileBlobs(files.root, files.temporary), log: silent };
  const engine = openEnginePool(1, { index: join(data, 'index.db'), files }, platform);
  onTestFinished(() => engine.close());
  const content = noise(12 * MiB);
  await writeFile(join(path, 'large'), content);

  const runRef = { account, runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
  const context = { allowHosts: [], folders: { roots: 'any' as const, never: [] } };
  const source = { type: 'folder', config: { path }, credentials: null, context, settings: 'hash' };
  const limits = { ...smallLimits, checkpointMs: 0 };
  const batches: PlanStep['batches'] = [];
  const planned = { runRef, keys, source, head: null, base: null, idIndex: null, isFull: false, lost: [] };
  const advance = async (step: PlanStep) => batches.push(...step.batches) > 0;
  await engine.plan({ ...planned, position: null, batches: 0, limits }, { advance });
  const { batch, ...work } = batches[0] as PlanStep['batches'][number];

  let resume: Saved | null = null;
  let isOver = true;
  const calls = {
    reached() {},
    async checkpoint(saved: Saved) {
      resume = saved;
    },
    isOver: () => isOver,
  };
  const store = () => {
    const request: StoreRequest = { runRef, keys, source, batch, work, resume, isCautious: false, limits };
    return engine.store(request, calls);
  };
  expect(await store()).toEqual({ paused: true });
  expect(resume).not.toBeNull();
  isOver = false;
  const result = await store();
  if ('paused' in result) expect.fail('the store paused again');
  const { list } = decodeList(keys, partAad(account, 'run_1', batch), result.part);
  expect(list.entries).toMatchObject([{ key: 'large', size: content.length, sha256: hash('sha256', content) }]);
  const length = list.entries[0]?.chunks?.reduce((sum, chunk) => sum + chunk.length, 0);
  expect(length).toBe(content.length);
});
