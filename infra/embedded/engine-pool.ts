/**
 * The engine in worker threads. Each thread runs engine-worker.ts. A thread that dies or falls silent is replaced. A
 * thread says which source it reads, so a source that blocks it fails no work of other sources.
 */
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import { temporary } from '../../connectors/connector.ts';
import { Problem } from '../../domain/errors.ts';
import type { Platform } from '../../domain/ports.ts';
import type { CommitRequest, Engine, PlanRequest, StoreRequest } from '../../processors/backup/engine.ts';
import { presentPacks, registerPack } from '../../vault/pack-registry.ts';
import { serveBlobs } from './remote-blobs.ts';
import { makePeer, type Peer, toWire } from './rpc.ts';

export type WorkerSettings = {
  /** The file of the chunk index. */
  index: string;
  /** The folder of the blobs, and one for temporary files. Absent if the blobs are elsewhere. */
  files: { root: string; temporary: string } | undefined;
};

export type WorkerData = WorkerSettings & {
  /** Shared with the pool: the number of the source whose calls may block the thread now. 0: none. */
  blocking: Int32Array;
};

type Calls = { [name: string]: (value: never) => unknown };
/** `source`: its number, 0 for work that reads none. */
type Work = { calls: Calls; source: number; fail(error: Error): void };
type Thread = Pick<WorkerData, 'blocking'> & {
  worker: Worker;
  peer: Peer;
  /** The work in hand. */
  works: Map<number, Work>;
  lastSeen: number;
};

/** A thread that says nothing for this time is stuck, for example in a dead network mount (ms). */
const silentMs = 60_000;
const checkMs = 5_000;

/** `entry` is the file that each thread runs. Threads start when they are first needed. */
export function openEnginePool(
  count: number,
  settings: WorkerSettings,
  { records, blobs, log }: Pick<Platform, 'records' | 'blobs' | 'log'>,
  { entry = new URL('./engine-worker.js', import.meta.url), silence = silentMs } = {},
): Engine {
  const threads: (Thread | undefined)[] = Array.from({ length: count });
  const interval = Math.min(checkMs, silence / 4);
  const watching = setInterval(check, interval).unref();
  let lastCheck = performance.now();
  const sources = new Map<string, number>();
  let numbers = 0;
  let closed: Error | undefined;

  function start(index: number): Thread {
    const blocking = new Int32Array(new SharedArrayBuffer(4));
    // The flag of `npm start` is for the main thread. For workers it would override their limits.
    setFlagsFromString('--max-semi-space-size=0');
    const worker = new Worker(entry, {
      name: 'engine',
      execArgv: ['--disable-warning=ExperimentalWarning'],
      workerData: { ...settings, blocking } satisfies WorkerData,
      resourceLimits: { maxYoungGenerationSizeMb: 24, maxOldGenerationSizeMb: 512 },
    });
    const works: Thread['works'] = new Map();
    const peer = makePeer(
      worker,
      (target, args) => serve(works, target, args),
      () => {
        thread.lastSeen = performance.now();
      },
    );
    const thread: Thread = { worker, peer, works, blocking, lastSeen: performance.now() };
    const fail = (reason: string) => {
      if (threads[index] === thread) threads[index] = undefined;
      peer.end(closed ?? new Error(reason));
    };
    worker.on('error', (error) => fail(`a worker thread failed: ${error.message}`));
    worker.on('exit', (code) => fail(`a worker thread ended (${code})`));
    worker.unref();
    return thread;
  }

  function serve(works: Thread['works'], target: string, args: unknown[]): unknown {
    const [area, method = ''] = target.split('.');
    if (area === 'work') return works.get(args[0] as number)?.calls[method]?.(args[1] as never);
    if (area === 'blobs') return serveBlobs(blobs, method, args);
    const [account, what, record] = args as [string, never, never];
    const store = { account, records, blobs };
    return target === 'register' ? registerPack(store, what, record) : presentPacks(store, what);
  }

  /** Abandons silent threads. A thread in a system call cannot be ended, so nothing waits for it. */
  function check(): void {
    const now = performance.now();
    // After a pause of the whole process the messages of the threads are still unread.
    const isLate = now - lastCheck > 2 * interval;
    lastCheck = now;
    if (isLate) return;
    for (const [index, thread] of threads.entries()) {
      if (!thread || thread.works.size === 0 || now - thread.lastSeen < silence) continue;
      threads[index] = undefined;
      log.error('a worker thread is silent and was replaced', { seconds: Math.round(silence / 1000) });
      const blocking = Atomics.load(thread.blocking, 0);
      for (const work of thread.works.values()) work.fail(errorOfSilence(work.source, blocking));
      thread.peer.end(new Error('a worker thread is silent'));
      void thread.worker.terminate();
    }
  }

  /** The thread with the least work in hand. */
  function pick(): Thread {
    const loadOf = (index: number) => threads[index]?.works.size ?? 0;
    let best = 0;
    for (let index = 1; index < count; index++) if (loadOf(index) < loadOf(best)) best = index;
    const thread = threads[best] ?? start(best);
    threads[best] = thread;
    return thread;
  }

  /** Sources are few, so none is forgotten. */
  function sourceNumber(sourceId: string): number {
    const number = sources.get(sourceId) ?? sources.size + 1;
    sources.set(sourceId, number);
    return number;
  }

  async function work<T>(
    method: string,
    request: PlanRequest | StoreRequest | CommitRequest,
    calls: object,
    stop?: AbortSignal,
  ): Promise<T> {
    if (closed) throw closed;
    const thread = pick();
    const number = numbers++;
    const source = 'source' in request ? sourceNumber(request.runRef.sourceId) : 0;
    const failed = Promise.withResolvers<never>();
    if (thread.works.size === 0) thread.lastSeen = performance.now();
    thread.works.set(number, { calls: calls as Calls, source, fail: failed.reject });
    // A process may end while its workers have nothing to do, and only then.
    thread.worker.ref();
    const onStop = () => void thread.peer.call('stop', [number, toWire(stop?.reason)]).catch(() => {});
    stop?.addEventListener('abort', onStop);
    try {
      const result = thread.peer.call<T>(method, [number, request, source]);
      if (stop?.aborted) onStop();
      return await Promise.race([failed.promise, result]);
    } finally {
      stop?.removeEventListener('abort', onStop);
      thread.works.delete(number);
      if (thread.works.size === 0) thread.worker.unref();
    }
  }

  return {
    plan: (request, calls, stop) => work('plan', request, calls, stop),
    store: (request, calls, stop) => work('store', request, calls, stop),
    commit: (request, calls, stop) => work('commit', request, calls, stop),
    async close() {
      closed = new Problem('unavailable', 'ListBackup is stopping. Open runs continue at the next start.');
      clearInterval(watching);
      await Promise.all(
        threads.map(async (thread) => {
          if (!thread) return;
          const idle = thread.works.size === 0;
          thread.peer.end(closed as Error);
          if (idle) await thread.worker.terminate();
          else void thread.worker.terminate();
        }),
      );
    },
  };
}

/** The error of work of `source` whose thread fell silent while calls to `blocking` could block it. */
function errorOfSilence(source: number, blocking: number): Error {
  if (blocking === 0) return new Error('a worker thread was silent for too long');
  if (blocking !== source) return new Problem('unavailable', 'Another source blocked the work. It is repeated.');
  return temporary('unreachable', 'The source did not answer for a minute. Check its disk or mount.');
}
