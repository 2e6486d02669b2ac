/** The engine pool: errors, dead and silent threads, and a backup by the real threads. */
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { MessageChannel } from 'node:worker_threads';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { SourceProblem } from '../../../connectors/connector.ts';
import { Problem } from '../../../domain/errors.ts';
import type { JsonObject } from '../../../domain/ports.ts';
import { blobFolder, temporaryFolder } from '../../../infra/embedded/blobs.ts';
import { chunkIndexFile } from '../../../infra/embedded/chunk-index.ts';
import { openEnginePool, type WorkerSettings } from '../../../infra/embedded/engine-pool.ts';
import { makePeer } from '../../../infra/embedded/rpc.ts';
import type { CommitRequest, Engine, PlanRequest } from '../../../processors/backup/engine.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { TaskStopped } from '../../../tasks/task.ts';
import { VaultDamage } from '../../../vault/damage.ts';
import { changeCorpus, makeCorpus } from '../../faults/corpus.ts';
import { smallLimits } from '../../faults/small-limits.ts';
import { makeWorld, pictureOf, statusOf } from '../../faults/world.ts';
import { expectClean } from '../../support/check.ts';
import { silent, testFolder } from '../../support/embedded.ts';
import { memoryBlobs, memoryRecords } from '../../support/memory-ports.ts';
import { startS3Server } from '../../support/s3-server.ts';
import { account, keys } from '../../vault/vault-fixture.ts';

const fake = new URL('./fake-engine-worker.ts', import.meta.url);
/** Longer than any test takes. */
const never = 3_600_000;

type Work = { stop?: AbortSignal; advance?: (value: unknown) => unknown; sourceId?: string };
type TestPool = {
  engine: Engine;
  /** Starts the behaviour of fake-engine-worker.ts. */
  work(behaviour: string, work?: Work): Promise<unknown>;
  /** Starts the behaviour. `started` resolves with its first call of `advance`. */
  begin(behaviour: string, work?: Work): { started: Promise<unknown>; ended: Promise<unknown> };
};

function openFake(count: number, { silence = never, abandonAfter = never, log = silent } = {}, ports = {}): TestPool {
  const settings: WorkerSettings = { index: 'unused', files: undefined };
  const platform = { records: memoryRecords(), blobs: memoryBlobs(), log, ...ports };
  const engine = openEnginePool(count, settings, platform, { entry: fake, silence, abandonAfter });
  onTestFinished(() => engine.close());
  const work: TestPool['work'] = (behaviour, { stop, advance = () => true, sourceId = 'src_1' } = {}) => {
    const request = { runRef: { runId: behaviour, sourceId }, source: {} } as PlanRequest;
    return engine.plan(request, { advance: async (step) => advance(step) as boolean }, stop);
  };
  return {
    engine,
    work,
    begin(behaviour, more = {}) {
      const { promise: started, resolve } = Promise.withResolvers<unknown>();
      const ended = work(behaviour, { ...more, advance: resolve });
      // The tests look at `ended` later.
      ended.catch(() => {});
      return { started, ended };
    },
  };
}

const failureOf = (work: Promise<unknown>) =>
  work.then(
    (result) => expect.fail(`the work succeeded with ${JSON.stringify(result)}`),
    (error: unknown) => error,
  );

describe('a thread', () => {
  it('gets the request and returns the result as plain data', async () => {
    const { engine } = openFake(1);
    const bytes = Uint8Array.of(1, 2, 3);
    const request = { runRef: { runId: 'answer', sourceId: 'src_1' }, more: [bytes, { a: null }, new Map([[1, 2]])] };
    expect(await engine.plan(request as never, {} as never)).toEqual({ target: 'plan', request });
    expect(await engine.store(request as never, {} as never)).toEqual({ target: 'store', request });
    expect(await engine.commit(request as never, {} as never)).toEqual({ target: 'commit', request });
  });

  it('calls the callbacks of its work and gets their results', async () => {
    const { work } = openFake(1);
    const asked: unknown[] = [];
    const advance = (value: unknown) => asked.push(value) && { list: [1] };
    expect(await work('ask', { advance })).toEqual({ list: [1] });
    expect(asked).toEqual(['question']);
  });

  it('gets the error of a callback', async () => {
    const { work } = openFake(1);
    const advance = () => {
      throw new Problem('unavailable', 'Try again.');
    };
    const error = await failureOf(work('ask', { advance }));
    expect(error).toBeInstanceOf(Problem);
    expect(error).toMatchObject({ code: 'unavailable', message: 'Try again.' });
  });

  it('uses the registry and the blobs of the main thread', async () => {
    const [records, blobs] = [memoryRecords(), memoryBlobs()];
    const { work } = openFake(1, {}, { records, blobs });
    expect(await work('blob')).toEqual(Uint8Array.of(2));
    expect([...blobs.stored]).toEqual([['packs/acc_1/1/pak_1', Uint8Array.of(1, 2, 3)]]);
    expect(await work('move')).toBe(0);
    expect(blobs.stored.get('packs/acc_1/1/pak_2')).toEqual(Uint8Array.of(7, 7, 7));
    expect(await work('register')).toEqual(new Set(['pak_1']));
    expect([...records.stored.values()]).toEqual([
      { pk: 'packs/acc_1', sk: 'pak_1', data: { state: 'live', bytes: 3, epoch: 0, run: 'run_1' } },
    ]);
  });
});

describe('an error', () => {
  it.each<[string, new (...args: never[]) => Error, object]>([
    [
      'source',
      SourceProblem,
      { name: 'SourceProblem', message: 'Slow down.', code: 'throttled', retryable: true, retryAfterSeconds: 17 },
    ],
    [
      'sourceWithoutPause',
      SourceProblem,
      { message: 'Wrong settings.', code: 'unusable', retryable: false, retryAfterSeconds: undefined },
    ],
    [
      'problem',
      Problem,
      { name: 'Problem', message: 'The disk is full.', code: 'storage-full', extra: { retryAfter: 5 } },
    ],
    ['damage', VaultDamage, { name: 'VaultDamage', message: 'pack: pak_1 is missing' }],
    ['cancelled', TaskStopped, { reason: 'cancelled' }],
    ['other', Error, { name: 'RangeError', message: 'out of range' }],
    ['text', Error, { message: 'just a text' }],
  ])('of kind %s keeps its class and fields', async (kind, kindOf, fields) => {
    const { work } = openFake(1);
    const error = await failureOf(work(`throw ${kind}`));
    expect(error).toBeInstanceOf(kindOf);
    expect(error).toMatchObject(fields);
  });

  it('keeps the stack of the thread', async () => {
    const { work } = openFake(1);
    expect(await failureOf(work('throw other'))).toMatchObject({
      stack: expect.stringContaining('fake-engine-worker.ts'),
    });
  });

  it('of one piece of work does not fail others of the thread', async () => {
    const { work, begin } = openFake(1);
    const stop = new AbortController();
    const { started, ended } = begin('wait', { stop: stop.signal });
    await started;
    await failureOf(work('throw other'));
    stop.abort(new TaskStopped('cancelled'));
    expect(await failureOf(ended)).toBeInstanceOf(TaskStopped);
  });
});

describe('`stop`', () => {
  it('ends the work with its reason', async () => {
    const { begin } = openFake(1);
    const stop = new AbortController();
    const { started, ended } = begin('wait', { stop: stop.signal });
    await started;
    stop.abort(new TaskStopped('cancelled'));
    const error = await failureOf(ended);
    expect(error).toBeInstanceOf(TaskStopped);
    expect(error).toMatchObject({ reason: 'cancelled' });
  });

  it('ends only its own work', async () => {
    const { begin } = openFake(1);
    const [first, second] = [new AbortController(), new AbortController()];
    const [one, two] = [begin('wait', { stop: first.signal }), begin('wait', { stop: second.signal })];
    await Promise.all([one.started, two.started]);
    second.abort(new TaskStopped('paused'));
    expect(await failureOf(two.ended)).toMatchObject({ reason: 'paused' });
    first.abort(new TaskStopped('cancelled'));
    expect(await failureOf(one.ended)).toMatchObject({ reason: 'cancelled' });
  });

  it('ends work that starts after it', async () => {
    const { work } = openFake(1);
    const error = await failureOf(work('wait', { stop: AbortSignal.abort(new TaskStopped('cancelled')) }));
    expect(error).toBeInstanceOf(TaskStopped);
  });
});

describe('work that does not stop', () => {
  const over = new TaskStopped('cancelled');
  const errors: string[] = [];
  const log = { ...silent, error: (message: string) => void errors.push(message) };
  const replaced = 'a worker thread did not stop its work and was replaced';
  /** Starts the behaviour, and stops it once it is in hand. */
  async function stopIn(pool: TestPool, behaviour: string, work: Work = {}): Promise<unknown> {
    const stop = new AbortController();
    const { started, ended } = pool.begin(behaviour, { ...work, stop: stop.signal });
    await started;
    stop.abort(over);
    return failureOf(ended);
  }
  beforeEach(() => void errors.splice(0));

  it('is abandoned with the reason, and a new thread replaces the blocked one', async () => {
    const pool = openFake(1, { abandonAfter: 1, log });
    const before = await pool.work('thread');
    expect(await stopIn(pool, 'block')).toBe(over);
    expect(errors).toEqual([replaced]);
    expect(await pool.work('thread')).not.toBe(before);
  });

  it('is abandoned, and other work of the thread that its source blocks is repeated', async () => {
    const pool = openFake(1, { abandonAfter: 1, log });
    const sharing = [pool.begin('wait'), pool.begin('wait', { sourceId: 'src_2' })];
    await Promise.all(sharing.map(({ started }) => started));
    expect(await stopIn(pool, 'block in the source')).toBe(over);
    const [same, other] = await Promise.all(sharing.map(({ ended }) => failureOf(ended)));
    expect(same).toMatchObject({ name: 'SourceProblem', code: 'unreachable' });
    expect(other).toMatchObject({ name: 'Problem', code: 'unavailable' });
    expect(errors).toEqual([replaced]);
  });

  it('stays with a thread that it may not block, which gets less new work and keeps the rest', async () => {
    const pool = openFake(2, { abandonAfter: 1, log });
    const stop = new AbortController();
    const waiting = [pool.begin('wait', { stop: stop.signal }), pool.begin('wait', { stop: stop.signal })];
    await Promise.all(waiting.map(({ started }) => started));
    const ignoring = new AbortController();
    const { started, ended } = pool.begin('ignore', { stop: ignoring.signal });
    const thread = await started;
    ignoring.abort(over);
    expect(await failureOf(ended)).toBe(over);
    expect(await pool.work('thread')).not.toBe(thread);
    expect(errors).toEqual([]);
    stop.abort(over);
    for (const each of waiting) expect(await failureOf(each.ended)).toBeInstanceOf(TaskStopped);
  });

  it('changes nothing after it was abandoned', async () => {
    const pool = openFake(1, { abandonAfter: 1, log });
    await pool.begin('wait').started;
    const stop = new AbortController();
    const advances: unknown[] = [];
    const advance = (value: unknown) => {
      advances.push(value);
      stop.abort(over);
    };
    expect(await failureOf(pool.work('ignore', { stop: stop.signal, advance }))).toBe(over);
    await pool.work('release');
    expect(advances).toHaveLength(1);
  });
});

describe('several threads', () => {
  it('share the work, and the thread with the least work gets the next', async () => {
    const { begin, work } = openFake(2);
    const stop = new AbortController();
    const waiting = ['wait', 'wait', 'wait'].map((behaviour) => begin(behaviour, { stop: stop.signal }));
    await Promise.all(waiting.map(({ started }) => started));
    const fewest = await work('thread');
    stop.abort(new TaskStopped('cancelled'));
    await Promise.all(waiting.map(({ ended }) => failureOf(ended)));
    const [one, two] = [begin('thread'), begin('thread')];
    const threads = await Promise.all([one.ended, two.ended]);
    expect(new Set(threads).size).toBe(2);
    expect(threads).toContain(fewest);
  });
});

describe('a thread that dies', () => {
  it.each([
    ['exit', /^a worker thread ended \(3\)$/],
    ['crash', /^a worker thread failed: a bug outside of any call$/],
  ])('by %s fails work that has it alone, and a new thread takes over', async (behaviour, message) => {
    const { work } = openFake(1);
    const before = await work('thread');
    expect(await failureOf(work(behaviour))).toMatchObject({ name: 'Error', message: expect.stringMatching(message) });
    const after = await work('thread');
    expect(after).not.toBe(before);
    expect(await work('thread')).toBe(after);
  });

  it('repeats all its work, until the work that ends it again and again has a thread alone', async () => {
    const { begin, work } = openFake(1);
    const stop = new AbortController();
    let other: ReturnType<TestPool['begin']>;
    for (let deaths = 0; deaths < 3; deaths++) {
      other = begin('wait', { stop: stop.signal });
      await other.started;
      for (const error of [await failureOf(work('exit')), await failureOf(other.ended)]) {
        expect(error).toBeInstanceOf(Problem);
        expect(error).toMatchObject({ code: 'unavailable' });
      }
    }
    const sharing = begin('wait for the stop', { stop: stop.signal });
    other = begin('wait', { stop: stop.signal });
    const cause = failureOf(work('exit'));
    await Promise.all([sharing.started, other.started]);
    // The thread for one piece of work is taken, so the cause waits for it.
    stop.abort(new TaskStopped('cancelled'));
    expect(await failureOf(other.ended)).toBeInstanceOf(TaskStopped);
    expect(await cause).toMatchObject({ name: 'Error', message: 'a worker thread ended (3)' });
    expect(await failureOf(sharing.ended)).toBeInstanceOf(TaskStopped);
  });

  it('does not fail the work of other threads', async () => {
    const { begin, work } = openFake(2);
    const stop = new AbortController();
    const { started, ended } = begin('wait', { stop: stop.signal });
    await started;
    await failureOf(work('exit'));
    stop.abort(new TaskStopped('cancelled'));
    expect(await failureOf(ended)).toBeInstanceOf(TaskStopped);
  });
});

describe('a thread that is silent', () => {
  /** Longer than a thread takes to start on a slow machine (ms). */
  const silence = 3000;

  it('is replaced after `silence`, and fails the work of the source that blocked it only', async () => {
    const errors: string[] = [];
    const log = { ...silent, error: (message: string) => void errors.push(message) };
    const { engine, begin, work } = openFake(1, { silence, log });
    const before = await work('thread');
    const sharing = [begin('wait'), begin('wait', { sourceId: 'src_2' })];
    await Promise.all(sharing.map(({ started }) => started));
    const commit = engine.commit({ runRef: { runId: 'wait', sourceId: 'src_1' } } as CommitRequest, {} as never);
    const blocked = begin('block in the source');
    const [same, other] = sharing.map(({ ended }) => failureOf(ended));
    for (const each of [failureOf(blocked.ended), same]) {
      expect(await each).toBeInstanceOf(SourceProblem);
      expect(await each).toMatchObject({ code: 'unreachable', retryable: true });
    }
    for (const each of [other, failureOf(commit)]) {
      expect(await each).toBeInstanceOf(Problem);
      expect(await each).toMatchObject({ code: 'unavailable' });
    }
    expect(errors).toEqual(['a worker thread is silent and was replaced']);
    expect(await work('thread')).not.toBe(before);
  });

  it('repeats all its work if no source blocked it, unless it had one piece only', async () => {
    const { begin } = openFake(1, { silence });
    const work = [begin('wait'), begin('block', { sourceId: 'src_2' })];
    for (const { ended } of work) expect(await failureOf(ended)).toMatchObject({ code: 'unavailable' });
    expect(await failureOf(begin('block').ended)).toMatchObject({ message: expect.stringMatching('silent for too') });
  });

  it('is kept when the main thread was blocked itself', async () => {
    const { begin, work } = openFake(1, { silence });
    const thread = await work('thread');
    await begin('alive').started;
    // After it the timers run first, and then the messages arrive.
    await turn();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1.5 * silence);
    expect(await work('thread')).toBe(thread);
    expect(await work('thread')).toBe(thread);
  });

  it('is kept while it has no work', async () => {
    const { work, begin } = openFake(2, { silence });
    const [one, two] = [begin('thread'), begin('thread')];
    const [idle, busy] = await Promise.all([one.ended, two.ended]);
    expect(idle).not.toBe(busy);
    // The idle thread says nothing until the pool abandons the blocked one.
    const { ended } = begin('block');
    await failureOf(ended);
    expect(await Promise.all([work('thread'), work('thread')])).toContain(busy);
  });

  it('keeps its work while it sends messages', async () => {
    const { work } = openFake(1, { silence });
    const thread = await work('thread');
    const start = performance.now();
    expect(await work('chat', { advance: () => performance.now() - start < 2 * silence })).toBe(thread);
  });
});

describe('close', () => {
  it('fails open work as unavailable, and later work too', async () => {
    const { engine, begin, work } = openFake(2);
    const open = [begin('wait'), begin('block')];
    await Promise.all(open.map(({ started }) => started));
    await engine.close();
    for (const error of [
      ...(await Promise.all(open.map(({ ended }) => failureOf(ended)))),
      await failureOf(work('answer')),
    ]) {
      expect(error).toBeInstanceOf(Problem);
      expect(error).toMatchObject({ code: 'unavailable', message: expect.stringContaining('ListBackup is stopping') });
    }
  });
});

describe('the threads of the engine', () => {
  it.each([
    ['files in the data folder', true],
    ['blobs that the main thread has', false],
  ])('back up a folder with %s as the main thread does', async (_where, inFiles) => {
    const data = await testFolder();
    const blobs = memoryBlobs();
    const [threaded, plain] = [await makeWorld({ data, ...(!inFiles && { blobs }) }), await makeWorld()];
    const root = blobFolder(data);
    const files = inFiles ? { root, temporary: temporaryFolder(root) } : undefined;
    const engine = openEnginePool(2, { index: join(data, chunkIndexFile), files }, threaded.platform);
    onTestFinished(() => engine.close());
    const deployment = { ...threaded.deployment, engine };
    const handle = (body: JsonObject) => handleMessage(deployment, body, { deadline: Number.POSITIVE_INFINITY });

    for (const world of [threaded, plain]) await makeCorpus(world.source);
    for (const change of [async () => {}, changeCorpus]) {
      for (const world of [threaded, plain]) await change(world.source);
      const runId = await threaded.request();
      await threaded.settle(handle);
      expect(threaded.failures).toEqual([]);
      expect(await statusOf(threaded, runId)).toBe('succeeded');
      await plain.request();
      await plain.settle();
    }
    expect(await pictureOf(threaded)).toEqual(await pictureOf(plain));
    await expectClean(threaded.platform, { deployment: threaded.deployment });
  });
});

describe('a real thread', () => {
  async function openReal() {
    const folder = await testFolder();
    await makeCorpus(folder);
    const platform = { records: memoryRecords(), blobs: memoryBlobs(), log: silent };
    const index = join(await testFolder(), chunkIndexFile);
    const engine = openEnginePool(1, { index, files: undefined }, platform);
    onTestFinished(() => engine.close());
    const context = { allowHosts: [], folders: { roots: 'any' as const, never: [] } };
    const requestFor = (path: string): PlanRequest => ({
      runRef: { account: account, runId: 'run_1', jobId: 'job_1', sourceId: 'src_1' },
      keys,
      source: { type: 'folder', config: { path }, credentials: null, context, settings: 'hash' },
      ...{
        head: null,
        base: null,
        idIndex: null,
        isFull: false,
        lost: [],
        position: null,
        batches: 0,
        limits: smallLimits,
      },
    });
    return { engine, folder, requestFor };
  }

  it('stops with the reason', async () => {
    const { engine, folder, requestFor } = await openReal();
    const stop = new AbortController();
    let steps = 0;
    const advance = async () => {
      steps++;
      stop.abort(new TaskStopped('cancelled'));
      return true;
    };
    const error = await failureOf(engine.plan(requestFor(folder), { advance }, stop.signal));
    expect(error).toBeInstanceOf(TaskStopped);
    expect(error).toMatchObject({ reason: 'cancelled' });
    expect(steps).toBe(1);
  });

  it('stops at once while a server is silent', async () => {
    const { engine, requestFor } = await openReal();
    const server = await startS3Server();
    onTestFinished(() => server.close());
    const requested = Promise.withResolvers<void>();
    server.misbehave = () => {
      requested.resolve();
      return { heldUntil: new Promise(() => {}) };
    };
    const { bucket, endpoint, credentials } = server;
    const request = requestFor('');
    const context = { allowHosts: [server.host] };
    Object.assign(request.source, { type: 's3', config: { bucket, endpoint }, credentials, context });
    const stop = new AbortController();
    const planned = failureOf(engine.plan(request, { advance: () => expect.unreachable() }, stop.signal));
    await requested.promise;
    stop.abort(new TaskStopped('cancelled'));
    expect(await planned).toBeInstanceOf(TaskStopped);
    // Its connection is closed, so it was not only abandoned.
    await vi.waitUntil(() => server.open() === 0, { timeout: never });
  });

  it('reports a source that cannot be opened', async () => {
    const { engine, folder, requestFor } = await openReal();
    const missing = requestFor(join(folder, 'missing'));
    const error = await failureOf(engine.plan(missing, { advance: async () => true }));
    expect(error).toBeInstanceOf(SourceProblem);
    expect(error).toMatchObject({ code: 'not-found' });
  });
});

describe('a peer', () => {
  it('rejects a call whose arguments or result cannot be copied', async () => {
    const { port1, port2 } = new MessageChannel();
    onTestFinished(() => port1.close());
    const results = [() => {}, 5];
    const [one] = [makePeer(port1, () => {}), makePeer(port2, () => results.shift())];
    expect(await failureOf(one.call('a', []))).toMatchObject({ name: 'DataCloneError' });
    expect(await failureOf(one.call('a', [() => {}]))).toMatchObject({ name: 'DataCloneError' });
    expect(await one.call('a', [])).toBe(5);
  });

  it('fails open calls and later calls once it has ended', async () => {
    const sent: unknown[] = [];
    const peer = makePeer({ postMessage: (message: unknown) => sent.push(message), on: () => {} }, () => {});
    const open = peer.call('a', []);
    peer.end(new Error('first'));
    peer.end(new Error('second'));
    expect(await failureOf(open)).toMatchObject({ message: 'first' });
    expect(await failureOf(peer.call('b', []))).toMatchObject({ message: 'first' });
    expect(sent).toHaveLength(1);
  });
});
