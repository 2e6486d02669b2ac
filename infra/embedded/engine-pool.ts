/**
 * The engine in worker threads. Each thread runs engine-worker.ts. A thread that dies or falls silent is replaced. The
 * pool fails only the work that caused it. That is work of the source that the thread was reading in a blocking call,
 * or work that had the thread alone. All other work is `unavailable`, so it is repeated. Work whose thread has died
 * several times gets a thread alone.
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
import { makeSignal } from './signal.ts';

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
/** `name`: equal for each attempt. `source`: its number, 0 for work that reads none. */
type Work = { name: string; calls: Calls; source: number; fail(error: Error): void };
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
/**
 * Stopped work whose thread does not answer within this time is abandoned (ms). The engine in the thread abandons what
 * does not return within 5 s, so such a thread is blocked. A stop comes at most 15 s after a cancel, so that a cancel
 * takes less than 30 s.
 */
const abandonMs = 10_000;
/** After this many deaths of a thread that had the same work in hand, the work gets a thread alone. */
const maxDeaths = 3;

/** `entry` is the file that each thread runs. Threads start when they are first needed. */
export function openEnginePool(
  count: number,
  settings: WorkerSettings,
  { records, blobs, log }: Pick<Platform, 'records' | 'blobs' | 'log'>,
  { entry = new URL('./engine-worker.js', import.meta.url), silence = silentMs, abandonAfter = abandonMs } = {},
): Engine {
  // The first half shares the work. Each thread of the second half does one piece of work, and then ends.
  const threads: (Thread | undefined)[] = Array.from({ length: 2 * count });
  /** Deaths of threads by the name of work in hand that has not ended since. */
  const deaths = new Map<string, number>();
  const freed = makeSignal();
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
    const onEnd = (reason: string) => {
      if (threads[index] !== thread) return;
      if (!closed) log.error('a worker thread ended and was replaced', {}, new Error(reason));
      abandon(index, thread, 0, reason);
    };
    worker.on('error', (error) => onEnd(`a worker thread failed: ${error.message}`));
    worker.on('exit', (code) => onEnd(`a worker thread ended (${code})`));
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

  /** Fails the work of a thread that died or is silent. `blocking`: the source that is known as the cause, or 0. */
  function abandon(index: number, { works, peer }: Thread, blocking: number, reason: string): void {
    threads[index] = undefined;
    const isAlone = works.size === 1;
    for (const { name, source, fail } of works.values()) {
      if (blocking === 0) deaths.set(name, isAlone ? maxDeaths : (deaths.get(name) ?? 0) + 1);
      if (closed) fail(closed);
      else if (blocking !== 0 && blocking === source)
        fail(temporary('unreachable', 'The source blocked a thread and did not answer. Check its disk or mount.'));
      else if (blocking === 0 && isAlone) fail(new Error(reason));
      else fail(new Problem('unavailable', 'Other work ended the thread of this work, which is repeated.'));
    }
    works.clear();
    peer.end(closed ?? new Error(reason));
    freed.notify();
  }

  /**
   * Abandons the thread if stopped work blocks it: the work has the thread alone, or its source is known as the cause.
   * Other work in the thread is repeated. Otherwise the stopped work stays with the thread, which gets less new work,
   * until the thread answers or `check` finds it silent.
   */
  function leave(index: number, thread: Thread, number: number): void {
    const { source, name } = thread.works.get(number) as Work;
    // The rest of the work must change nothing.
    Object.assign(thread.works.get(number) as Work, { calls: {} });
    const isBlocked = source !== 0 && Atomics.load(thread.blocking, 0) === source;
    if (threads[index] !== thread || (thread.works.size > 1 && !isBlocked)) return;
    log.error('a worker thread did not stop its work and was replaced', { seconds: Math.round(abandonAfter / 1000) });
    thread.works.delete(number);
    deaths.delete(name);
    abandon(index, thread, isBlocked ? source : 0, 'a worker thread did not stop its work');
    void thread.worker.terminate();
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
      log.error('a worker thread is silent and was replaced', { seconds: Math.round(silence / 1000) });
      abandon(index, thread, Atomics.load(thread.blocking, 0), 'a worker thread was silent for too long');
      void thread.worker.terminate();
    }
  }

  /** The index of the shared thread with the least work, or of an unused thread for work that gets one alone. */
  function pick(name: string): number | undefined {
    const loadOf = (index: number) => threads[index]?.works.size ?? 0;
    if ((deaths.get(name) ?? 0) >= maxDeaths) {
      const index = threads.indexOf(undefined, count);
      return index < 0 ? undefined : index;
    }
    let best = 0;
    for (let index = 1; index < count; index++) if (loadOf(index) < loadOf(best)) best = index;
    return best;
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
    const { runId } = request.runRef;
    const name = `${method} ${runId} ${'batch' in request ? request.batch : ''}`;
    let index: number | undefined;
    for (;;) {
      const change = freed.next();
      if (closed) throw closed;
      index = pick(name);
      if (index !== undefined) break;
      await change.within(checkMs);
      stop?.throwIfAborted();
    }
    const thread = threads[index] ?? start(index);
    threads[index] = thread;
    const number = numbers++;
    const source = 'source' in request ? sourceNumber(request.runRef.sourceId) : 0;
    const failed = Promise.withResolvers<never>();
    if (thread.works.size === 0) thread.lastSeen = performance.now();
    thread.works.set(number, { name, calls: calls as Calls, source, fail: failed.reject });
    // A process may end while its workers have nothing to do, and only then.
    thread.worker.ref();
    const settle = () => {
      if (thread.works.delete(number)) deaths.delete(name);
      if (thread.works.size === 0) thread.worker.unref();
      if (index >= count && threads[index] === thread) {
        threads[index] = undefined;
        freed.notify();
        void thread.worker.terminate();
      }
    };
    let abandoning: NodeJS.Timeout | undefined;
    const onStop = () => {
      void thread.peer.call('stop', [number, toWire(stop?.reason)]).catch(() => {});
      abandoning = setTimeout(() => {
        failed.reject(stop?.reason);
        leave(index, thread, number);
      }, abandonAfter);
    };
    stop?.addEventListener('abort', onStop);
    const result = thread.peer.call<T>(method, [number, request, source]).finally(settle);
    try {
      if (stop?.aborted) onStop();
      return await Promise.race([failed.promise, result]);
    } finally {
      stop?.removeEventListener('abort', onStop);
      clearTimeout(abandoning);
    }
  }

  return {
    plan: (request, calls, stop) => work('plan', request, calls, stop),
    store: (request, calls, stop) => work('store', request, calls, stop),
    commit: (request, calls, stop) => work('commit', request, calls, stop),
    async close() {
      closed = new Problem('unavailable', 'ListBackup is stopping. Open runs continue at the next start.');
      clearInterval(watching);
      freed.notify();
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
