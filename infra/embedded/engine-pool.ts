/** The engine in worker threads. Each thread runs engine-worker.ts. A thread that dies or falls silent is replaced. */
import { Worker } from 'node:worker_threads';
import { SourceProblem } from '../../connectors/connector.ts';
import { Problem } from '../../domain/errors.ts';
import type { Platform } from '../../domain/ports.ts';
import type { Engine } from '../../processors/backup/engine.ts';
import { presentPacks, registerPack } from '../../vault/pack-registry.ts';
import { makePeer, type Peer, toWire } from './rpc.ts';

export type WorkerSettings = {
  /** The file of the chunk index. */
  index: string;
  /** The folder of the blobs, and one for temporary files. Absent if the blobs are elsewhere. */
  files: { root: string; temporary: string } | undefined;
};

type Calls = { [name: string]: (value: never) => unknown };
type Thread = {
  worker: Worker;
  peer: Peer;
  /** The callbacks of the work in hand. */
  works: Map<number, Calls>;
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
  const watching = setInterval(check, Math.min(checkMs, silence / 4)).unref();
  let numbers = 0;
  let closed: Error | undefined;

  function start(index: number): Thread {
    const worker = new Worker(entry, {
      name: 'engine',
      execArgv: ['--disable-warning=ExperimentalWarning'],
      workerData: settings,
      resourceLimits: { maxYoungGenerationSizeMb: 48, maxOldGenerationSizeMb: 512 },
    });
    const works: Thread['works'] = new Map();
    const peer = makePeer(
      worker,
      (target, args) => serve(works, target, args),
      () => {
        thread.lastSeen = performance.now();
      },
    );
    const thread: Thread = { worker, peer, works, lastSeen: performance.now() };
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
    if (area === 'work') return works.get(args[0] as number)?.[method]?.(args[1] as never);
    if (area === 'blobs') return (blobs[method as keyof typeof blobs] as (...all: unknown[]) => unknown)(...args);
    const [account, what, record] = args as [string, never, never];
    const store = { account, records, blobs };
    return target === 'register' ? registerPack(store, what, record) : presentPacks(store, what);
  }

  /** Abandons silent threads. A thread in a system call cannot be ended, so nothing waits for it. */
  function check(): void {
    for (const [index, thread] of threads.entries()) {
      if (!thread || thread.works.size === 0 || performance.now() - thread.lastSeen < silence) continue;
      threads[index] = undefined;
      log.error('a worker thread is silent and was replaced', { seconds: Math.round(silence / 1000) });
      thread.peer.end(
        new SourceProblem('unreachable', 'The source did not answer for a minute. Check its disk or mount.', {
          retryable: true,
        }),
      );
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

  async function work<T>(method: string, request: object, calls: object, stop?: AbortSignal): Promise<T> {
    if (closed) throw closed;
    const thread = pick();
    const number = numbers++;
    if (thread.works.size === 0) thread.lastSeen = performance.now();
    thread.works.set(number, calls as Calls);
    // A process may end while its workers have nothing to do, and only then.
    thread.worker.ref();
    const onStop = () => void thread.peer.call('stop', [number, toWire(stop?.reason)]).catch(() => {});
    stop?.addEventListener('abort', onStop);
    try {
      const result = thread.peer.call<T>(method, [number, request]);
      if (stop?.aborted) onStop();
      return await result;
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
