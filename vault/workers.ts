/**
 * Where the bytes are worked on: chunk → hash, and compress → encrypt. In this thread, or on worker threads, which bytes are moved to and
 * from without a copy.
 */
import { Worker } from 'node:worker_threads';
import { type Digested, type DigestKeys, digester, type Piece } from './digest.ts';
import { type PackLock, sealSlot } from './pack.ts';

export type Workers = {
  /**
   * Takes one stream, slice by slice, each once the one before was answered. Slices are given away: the caller must not touch them again. `abort` forgets the
   * stream; after `end` it does nothing.
   */
  digest(keys: DigestKeys): { push(slice: Uint8Array): Promise<Piece[]>; end(): Promise<Digested>; abort(): void };
  /** As `sealSlot`; the chunks are given away. */
  seal(lock: PackLock, slot: number, chunks: Uint8Array[]): Promise<Uint8Array>;
};

/** Everything happens in the thread that asks for it: for one core, and where no worker's file can be had. */
export const inThread: Workers = {
  digest(keys) {
    const digest = digester(keys);
    return { push: async (slice) => digest.push(slice), end: async () => digest.end(), abort() {} };
  },
  seal: async (lock, slot, chunks) => sealSlot(lock, slot, chunks),
};

/** What goes to a worker (worker.ts), by the number under which the answer comes. */
export type Job =
  | { kind: 'push'; stream: number; slice: Uint8Array; keys?: DigestKeys }
  | { kind: 'end'; stream: number; keys?: DigestKeys }
  | { kind: 'abort'; stream: number }
  | { kind: 'seal'; lock: PackLock; slot: number; content: Uint8Array };
export type Asked = { number: number; job: Job };
export type Answer = { number: number; result: unknown } | { number: number; error: string };

export type WorkerPool = Workers & {
  /** Ends the threads; what they had in hand fails. */
  close(): Promise<void>;
};

type Thread = {
  worker: Worker;
  waiting: Map<number, { resolve(result: unknown): void; reject(error: unknown): void; bytes: number }>;
  /** Bytes on their way to it. */
  load: number;
  dead: boolean;
};

/**
 * Threads that start when they are first needed. One that dies fails what it had in hand, which is an error like any other to whoever waits for it,
 * and another takes its place.
 */
export function startWorkers(count: number): WorkerPool {
  const threads: (Thread | undefined)[] = Array.from({ length: count });
  let numbers = 0;
  let closed = false;

  /** The one with the least to do. */
  function pick(): Thread {
    if (closed) throw new Error('the workers have ended');
    let best = 0;
    const loadOf = (i: number) => threads[i]?.load ?? 0;
    for (let i = 1; i < count; i++) if (loadOf(i) < loadOf(best)) best = i;
    const thread = threads[best] ?? start(best);
    threads[best] = thread;
    return thread;
  }

  function start(place: number): Thread {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), {
      name: 'vault',
      execArgv: ['--disable-warning=ExperimentalWarning'],
      // What they hold is outside the heap.
      resourceLimits: { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 128 },
    });
    const thread: Thread = { worker, waiting: new Map(), load: 0, dead: false };
    function fail(error: unknown): void {
      thread.dead = true;
      if (threads[place] === thread) threads[place] = undefined;
      for (const { reject } of thread.waiting.values()) reject(error);
      thread.waiting.clear();
    }
    worker.on('message', (answer: Answer) => {
      const asked = thread.waiting.get(answer.number);
      thread.waiting.delete(answer.number);
      if (thread.waiting.size === 0) worker.unref();
      if (!asked) return;
      thread.load -= asked.bytes;
      if ('error' in answer) asked.reject(new Error(answer.error));
      else asked.resolve(answer.result);
    });
    worker.on('error', fail);
    worker.on('exit', (code) => fail(new Error(`a worker ended (${code})`)));
    worker.unref();
    return thread;
  }

  function ask<T>(thread: Thread, job: Job, bytes: number, give: Uint8Array[]): Promise<T> {
    if (thread.dead) return Promise.reject(new Error('the worker of this stream ended'));
    const number = numbers++;
    return new Promise<T>((resolve, reject) => {
      thread.waiting.set(number, { resolve: (result) => resolve(result as T), reject, bytes });
      thread.load += bytes;
      // A process may end while its workers have nothing to do, and only then.
      thread.worker.ref();
      thread.worker.postMessage({ number, job } satisfies Asked, give.map(bufferOf));
    });
  }

  return {
    digest(keys) {
      let thread: Thread | undefined;
      let ended = false;
      const stream = numbers++;
      /** The stream's keys go with its first message. */
      const begin = () => {
        if (thread) return { on: thread };
        thread = pick();
        return { on: thread, keys };
      };
      return {
        async push(slice) {
          const { on, ...first } = begin();
          const own = alone(slice);
          return ask<Piece[]>(on, { kind: 'push', stream, slice: own, ...first }, own.length, [own]);
        },
        async end() {
          const { on, ...first } = begin();
          ended = true;
          return ask<Digested>(on, { kind: 'end', stream, ...first }, 0, []);
        },
        abort() {
          if (thread && !thread.dead && !ended) thread.worker.postMessage({ number: -1, job: { kind: 'abort', stream } } satisfies Asked);
        },
      };
    },
    async seal(lock, slot, chunks) {
      const [only] = chunks;
      const content = chunks.length === 1 && only ? alone(only) : Buffer.concat(chunks);
      return ask<Uint8Array>(pick(), { kind: 'seal', lock, slot, content }, content.length, [content]);
    },
    async close() {
      closed = true;
      await Promise.all(threads.map((thread) => thread?.worker.terminate()));
    },
  };
}

/** Moving a part of a buffer would move all of it, away from whoever has the rest. */
export function alone(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength && bytes.buffer instanceof ArrayBuffer ? bytes : new Uint8Array(bytes);
}

function bufferOf({ buffer }: Uint8Array): ArrayBuffer {
  return buffer as ArrayBuffer;
}
