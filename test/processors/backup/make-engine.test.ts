/** The engine ends work that makes no progress, and work that was stopped. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { SourceProblem } from '../../../connectors/connector.ts';
import { Problem } from '../../../domain/errors.ts';
import type {
  CommitRequest,
  EngineTools,
  PlanRequest,
  PlanStep,
  StoreCalls,
  StoreRequest,
} from '../../../processors/backup/engine.ts';
import { makeEngine } from '../../../processors/backup/make-engine.ts';
import { TaskStopped } from '../../../tasks/task.ts';
import { memoryBody } from '../../../vault/packer.ts';
import { smallLimits } from '../../faults/small-limits.ts';
import { testFolder } from '../../support/embedded.ts';
import { startS3Server } from '../../support/s3-server.ts';
import { memoryVault } from '../../vault/vault-fixture.ts';

const storing = { resume: null, isCautious: false, limits: smallLimits };
const storeCalls: StoreCalls = { reached() {}, async checkpoint() {}, isOver: () => false };

const never = () => new Promise<never>(() => {});
const minute = 60_000;

beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] }));
afterEach(() => void vi.useRealTimers());

async function open(tools: Partial<EngineTools> = {}, limits: { abandonMs?: number } = {}) {
  const { account, keys, blobs, chunks, random } = memoryVault();
  const path = await testFolder();
  const engine = makeEngine(
    {
      ...{ blobs, chunks, random, keepSessionMs: 1000 },
      now: Date.now,
      async register() {},
      present: async () => new Set(),
      openBody: () => memoryBody(blobs),
      beat() {},
      ...tools,
    },
    limits,
  );
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
      settings: '',
      ids: null,
      first: 1,
      last: 1,
      at: '2026-01-01T00:00:00.000Z',
      write: true,
      resume: null,
    },
  };
  const error = await stalledBy(
    started.promise,
    engine.commit(request, { part, checkpoint: async () => {}, isOver: () => false }),
  );
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
    const request: StoreRequest = {
      ...{ runRef, keys, source, batch, work },
      ...{ resume: null, isCautious: false, limits: smallLimits },
    };
    return engine.store(request, { reached() {}, async checkpoint() {}, isOver: () => false });
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

describe('work that is stopped', () => {
  const reason = new TaskStopped('cancelled');
  const failureOf = (work: Promise<unknown>) =>
    work.then(
      () => expect.fail('the work succeeded'),
      (error: unknown) => error,
    );
  /** Milliseconds that no test reaches. */
  const forever = 60 * minute;

  it('is abandoned if it does not return', async () => {
    const { engine, planned, runRef, keys } = await open({}, { abandonMs: 1 });
    const stallAfterStop = (stop: AbortController) => () => {
      stop.abort(reason);
      return never();
    };
    const [first, second] = [new AbortController(), new AbortController()];
    const advance = stallAfterStop(first);
    expect(await failureOf(engine.plan(planned, { advance }, first.signal))).toBe(reason);
    const request = {
      runRef,
      keys,
      base: null,
      settings: '',
      ids: null,
      first: 1,
      last: 1,
      at: '',
      write: true,
      resume: null,
    };
    const calls = { part: stallAfterStop(second), checkpoint: async () => {}, isOver: () => false };
    expect(await failureOf(engine.commit(request, calls, second.signal))).toBe(reason);
  });

  it('does not start if it was stopped before', async () => {
    const { engine, planned } = await open();
    const advance = () => expect.unreachable();
    expect(await failureOf(engine.plan(planned, { advance }, AbortSignal.abort(reason)))).toBe(reason);
  });

  /** Two batches of one file each. `stall` holds the next frame for ever. */
  async function openBatches(abandonMs: number) {
    let isStalled = false;
    const started = Promise.withResolvers<void>();
    const beat = () => {
      if (!isStalled) return;
      started.resolve();
      return never();
    };
    const { engine, runRef, keys, source, path, planned } = await open({ beat }, { abandonMs });
    for (const name of ['a', 'b']) await writeFile(join(path, name), name);
    const batches: PlanStep['batches'] = [];
    await engine.plan(planned, { advance: async (step) => batches.push(...step.batches) > 0 });
    return {
      started: started.promise,
      stall: (value: boolean) => {
        isStalled = value;
      },
      store(at: number, stop?: AbortSignal) {
        const { batch, ...work } = batches[at] as PlanStep['batches'][number];
        return engine.store({ ...storing, runRef, keys, source, batch, work }, storeCalls, stop);
      },
    };
  }

  it('leaves its session, which no other work uses, and its packer', async () => {
    const { started, stall, store } = await openBatches(1);
    const stop = new AbortController();
    stall(true);
    const first = failureOf(store(0, stop.signal));
    await started;
    const second = failureOf(store(1));
    stop.abort(reason);
    expect(await first).toBe(reason);
    // It was not cancelled, and must be repeated.
    expect(await second).toBeInstanceOf(Problem);
    expect(await second).toMatchObject({ code: 'unavailable' });
    stall(false);
    expect(await store(1)).toMatchObject({ counts: { filesDone: 1 } });
  });

  it('ends at once while it waits for its turn to read, and the others go on', async () => {
    const { started, stall, store } = await openBatches(forever);
    stall(true);
    void store(0).catch(() => {});
    await started;
    const stop = new AbortController();
    const second = failureOf(store(1, stop.signal));
    stop.abort(reason);
    expect(await second).toBe(reason);
  });

  it.each(['listing', 'reading'])('ends a %s of a silent server at once', async (what) => {
    const server = await startS3Server();
    onTestFinished(() => server.close());
    server.put('file', 'content');
    const { engine, planned, runRef, keys } = await open({}, { abandonMs: forever });
    const { bucket, endpoint, credentials } = server;
    const context = { allowHosts: [server.host] };
    const source = { type: 's3', config: { bucket, endpoint }, credentials, context, settings: 'hash' };
    const stop = new AbortController();
    const silence = () => (server.misbehave = () => ({ heldUntil: never() }));
    const batches: PlanStep['batches'] = [];
    if (what === 'listing') silence();
    const plan = engine.plan(
      { ...planned, source },
      { advance: async (step) => batches.push(...step.batches) > 0 },
      stop.signal,
    );
    let work: Promise<unknown> = plan;
    if (what === 'reading') {
      await plan;
      silence();
      const { batch, ...saved } = batches[0] as PlanStep['batches'][number];
      work = engine.store({ ...storing, runRef, keys, source, batch, work: saved }, storeCalls, stop.signal);
    }
    const requests = server.requests.length;
    const failed = failureOf(work);
    await vi.waitUntil(() => server.requests.length > requests, { timeout: forever });
    stop.abort(reason);
    expect(await failed).toBe(reason);
  });
});
