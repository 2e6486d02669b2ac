/** The engine ends work that makes no progress. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { SourceProblem } from '../../../connectors/connector.ts';
import type {
  CommitRequest,
  EngineTools,
  PlanRequest,
  PlanStep,
  StoreRequest,
} from '../../../processors/backup/engine.ts';
import { makeEngine } from '../../../processors/backup/make-engine.ts';
import { memoryBody } from '../../../vault/packer.ts';
import { smallLimits } from '../../faults/small-limits.ts';
import { testFolder } from '../../support/embedded.ts';
import { memoryVault } from '../../vault/vault-fixture.ts';

const never = () => new Promise<never>(() => {});
const minute = 60_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }));
afterEach(() => void vi.useRealTimers());

async function open(tools: Partial<EngineTools> = {}) {
  const { account, keys, blobs, chunks, random } = memoryVault();
  const path = await testFolder();
  const engine = makeEngine({
    ...{ blobs, chunks, random, keepSessionMs: 1000 },
    now: Date.now,
    async register() {},
    present: async () => new Set(),
    openBody: () => memoryBody(blobs),
    beat() {},
    ...tools,
  });
  onTestFinished(() => engine.close());
  const runRef = { account, runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' };
  const context = { allowHosts: [], folders: { roots: 'any' as const, never: [] } };
  const source = { type: 'folder', config: { path }, credentials: null, context, settings: 'hash' };
  const planned: PlanRequest = {
    ...{ runRef, keys, source, head: null, base: null, idIndex: null, isFull: false },
    ...{ lost: [], position: null, batches: 0 },
    limits: { ...smallLimits, batchItems: 1 },
  };
  return { engine, runRef, keys, source, path, planned };
}

/** Lets an hour pass after `started`. Returns the error of the work. */
async function stalledBy(started: Promise<unknown>, work: Promise<unknown>): Promise<unknown> {
  const failed = work.then(
    () => expect.fail('the work succeeded'),
    (error: unknown) => error,
  );
  await started;
  let isOver = false;
  void failed.finally(() => {
    isOver = true;
  });
  await vi.advanceTimersByTimeAsync(59 * minute);
  expect(isOver).toBe(false);
  await vi.advanceTimersByTimeAsync(2 * minute);
  return failed;
}

it('fails a listing that makes no progress for an hour', async () => {
  const { engine, planned } = await open();
  const started = Promise.withResolvers<void>();
  const advance = () => {
    started.resolve();
    return never();
  };
  const error = await stalledBy(started.promise, engine.plan(planned, { advance }));
  expect(error).toBeInstanceOf(SourceProblem);
  expect(error).toMatchObject({ code: 'unreachable', retryable: true });
});

it('fails a commit that makes no progress for an hour', async () => {
  const { engine, runRef, keys } = await open();
  const started = Promise.withResolvers<void>();
  const part = () => {
    started.resolve();
    return never();
  };
  const request: CommitRequest = {
    ...{
      runRef,
      keys,
      base: null,
      ids: null,
      first: 1,
      last: 1,
      at: '2026-01-01T00:00:00.000Z',
      write: true,
      resume: null,
    },
  };
  const error = await stalledBy(started.promise, engine.commit(request, { part, checkpoint: async () => {} }));
  expect(error).toMatchObject({ name: 'Error', message: 'the work made no progress for an hour' });
});

it('fails readings of a session that one reading has not left, and opens another session then', async () => {
  let beats: 'none' | 'stall' = 'none';
  const started = Promise.withResolvers<void>();
  const beat = () => {
    if (beats === 'none') return;
    started.resolve();
    return never();
  };
  const { engine, runRef, keys, source, path, planned } = await open({ beat });
  for (const name of ['a', 'b']) await writeFile(join(path, name), name);
  const batches: PlanStep['batches'] = [];
  await engine.plan(planned, { advance: async (step) => batches.push(...step.batches) > 0 });
  expect(batches).toHaveLength(2);
  const store = (at: number) => {
    const { batch, ...work } = batches[at] as PlanStep['batches'][number];
    const request: StoreRequest = { runRef, keys, source, batch, work };
    return engine.store(request, { reached() {} });
  };
  beats = 'stall';
  const first = store(0);
  await started.promise;
  const second = store(1).catch((error: unknown) => error);
  const error = await stalledBy(started.promise, first);
  expect(error).toBeInstanceOf(SourceProblem);
  expect(await second).toBe(error);
  beats = 'none';
  expect(await store(1)).toMatchObject({ counts: { filesDone: 1 } });
});
