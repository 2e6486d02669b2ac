/**
 * Worker threads for the vault. Each runs worker.ts. Content is in memory that all threads share (arena.ts). Messages
 * carry offsets and lengths, and an encrypted slot replaces its content in that memory.
 */
import { Worker } from 'node:worker_threads';
import { openArena, type Span, slabSize, takeSpans } from './arena.ts';
import { maxChunk } from './chunker.ts';
import type { Cut, Digested, DigestKeys } from './digest.ts';
import type { PackLock } from './pack.ts';
import { type Content, type Encrypted, encryptedOf, type Piece, type Stream, type Workers } from './workers.ts';

/** What goes to a worker, by the number under which the answer comes. A stream's keys go with its first message. */
export type Job =
  | { kind: 'push'; stream: number; span: Span; keys?: DigestKeys }
  | { kind: 'end'; stream: number; keys?: DigestKeys }
  | { kind: 'abort'; stream: number }
  /** Replaces the slot's content with its ciphertext, and returns header and tag. */
  | { kind: 'encrypt-spans'; lock: PackLock; slot: number; spans: Span[] }
  | { kind: 'encrypt-bytes'; lock: PackLock; slot: number; content: Uint8Array };
export type Asked = { number: number; job: Job };
export type Answer = { number: number; result: unknown } | { number: number; error: string };
export type EncryptedInPlace = { header: Uint8Array; length: number; tag: Uint8Array };

export type WorkerPool = Workers & {
  /** Ends the threads. Their open calls fail. */
  close(): Promise<void>;
};

type Thread = {
  worker: Worker;
  waiting: Map<number, { resolve(result: unknown): void; reject(error: unknown): void; weight: number }>;
  /** Bytes it has been given and not answered for. */
  load: number;
  dead: boolean;
};

/**
 * Slabs that one stream needs at most: a chunk that starts and ends within slabs, one block in work, one being filled.
 */
const slabsAStream = maxChunk / slabSize + 3;
/** More of them read, and wait for one another, than there are threads. */
const streams = 12;

/**
 * Threads start when they are first needed. When a thread dies, its jobs fail and a new thread replaces it. `entry` is
 * the file that each thread runs.
 */
export function openWorkerPool(count: number, entry = new URL('./worker.ts', import.meta.url)): WorkerPool {
  const arena = openArena(streams * slabsAStream);
  const memory = new Uint8Array(arena.memory);
  const threads: (Thread | undefined)[] = Array.from({ length: count });
  const admit = limitConcurrency(streams);
  const spansOf = new WeakMap<Content, Span[]>();
  let numbers = 0;
  let closed = false;

  /** The one with the least to do. */
  function pick(): Thread {
    if (closed) throw new Error('the workers have ended');
    const loadOf = (index: number) => threads[index]?.load ?? 0;
    let best = 0;
    for (let index = 1; index < count; index++) if (loadOf(index) < loadOf(best)) best = index;
    const thread = threads[best] ?? start(best);
    threads[best] = thread;
    return thread;
  }

  function start(index: number): Thread {
    const worker = new Worker(entry, {
      name: 'vault',
      execArgv: [],
      workerData: arena.memory,
      // What they work on is outside their heaps.
      resourceLimits: { maxYoungGenerationSizeMb: 8, maxOldGenerationSizeMb: 128 },
    });
    const thread: Thread = { worker, waiting: new Map(), load: 0, dead: false };
    function fail(error: unknown): void {
      thread.dead = true;
      if (threads[index] === thread) threads[index] = undefined;
      for (const { reject } of thread.waiting.values()) reject(error);
      thread.waiting.clear();
    }
    worker.on('message', (answer: Answer) => {
      const asked = thread.waiting.get(answer.number);
      thread.waiting.delete(answer.number);
      // A process may end while its workers have nothing to do, and only then.
      if (thread.waiting.size === 0) worker.unref();
      if (!asked) return;
      thread.load -= asked.weight;
      if ('error' in answer) asked.reject(new Error(answer.error));
      else asked.resolve(answer.result);
    });
    worker.on('error', fail);
    worker.on('exit', (code) => fail(new Error(`a worker ended (${code})`)));
    return thread;
  }

  function ask<T>(thread: Thread, job: Job, weight: number, give: ArrayBuffer[] = []): Promise<T> {
    if (thread.dead) return Promise.reject(new Error('the worker of this stream ended'));
    const number = numbers++;
    return new Promise<T>((resolve, reject) => {
      thread.waiting.set(number, { resolve: (result) => resolve(result as T), reject, weight });
      thread.load += weight;
      thread.worker.ref();
      thread.worker.postMessage({ number, job } satisfies Asked, give);
    });
  }

  function contentOf(spans: Span[], length: number): Content {
    for (const { at } of spans) arena.hold(at);
    let held = true;
    const content: Content = {
      length,
      own() {
        const bytes = Buffer.allocUnsafeSlow(length);
        copy(spans, bytes, 0);
        content.drop();
        return bytes;
      },
      drop() {
        if (held) for (const { at } of spans) arena.release(at);
        held = false;
      },
    };
    spansOf.set(content, spans);
    return content;
  }

  function copy(spans: Span[], target: Uint8Array, to: number): void {
    let end = to;
    for (const { at, length } of spans) {
      target.set(memory.subarray(at, at + length), end);
      end += length;
    }
  }

  function digest(keys: DigestKeys): Stream {
    const stream = numbers++;
    /** What the worker has been given, and is not part of a chunk yet. */
    let spans: Span[] = [];
    let filling: Span | undefined;
    let chunking: Promise<Cut[]> | undefined;
    let thread: Thread | undefined;
    let leave: (() => void) | undefined;
    let over = false;

    function tell<T>(job: Job, weight: number): Promise<T> {
      const first = thread === undefined;
      thread ??= pick();
      return ask<T>(thread, first ? ({ ...job, keys } as Job) : job, weight);
    }

    function pieceOf({ id, length }: Cut): Piece {
      const before = spans.map(({ at }) => at);
      const content = contentOf(takeSpans(spans, length), length);
      // Each span holds its slab once, for as long as it is in the list.
      for (const at of before.slice(0, before.length - spans.length)) arena.release(at);
      return { id, content };
    }

    /** Sends the filled block to the worker when it has finished the previous one. Returns the chunks of that one. */
    async function submit(): Promise<Piece[]> {
      const block = filling;
      const cuts = await chunking;
      if (over) throw new Error('the stream has been forgotten');
      const pieces = (cuts ?? []).map(pieceOf);
      chunking = undefined;
      if (!block) return pieces;
      filling = undefined;
      spans.push(block);
      chunking = tell<Cut[]>({ kind: 'push', stream, span: block }, block.length);
      // The next `submit` awaits it.
      chunking.catch(() => {});
      return pieces;
    }

    function finish(): void {
      over = true;
      for (const { at } of spans) arena.release(at);
      if (filling) arena.release(filling.at);
      spans = [];
      filling = undefined;
      leave?.();
    }

    return {
      async push(slice) {
        leave ??= await admit();
        const pieces: Piece[] = [];
        for (let from = 0; from < slice.length; ) {
          filling ??= { at: await arena.take(), length: 0 };
          const part = slice.subarray(from, from + slabSize - filling.length);
          memory.set(part, filling.at + filling.length);
          filling.length += part.length;
          from += part.length;
          if (filling.length === slabSize) pieces.push(...(await submit()));
        }
        return pieces;
      },
      async end() {
        const pieces = [...(await submit()), ...(await submit())];
        const { cuts, ...whole } = await tell<Digested>({ kind: 'end', stream }, 0);
        pieces.push(...cuts.map(pieceOf));
        finish();
        return { pieces, ...whole };
      },
      abort() {
        if (over) return;
        finish();
        if (thread && !thread.dead)
          thread.worker.postMessage({ number: -1, job: { kind: 'abort', stream } } satisfies Asked);
      },
    };
  }

  async function encryptInPlace(lock: PackLock, slot: number, content: Content, spans: Span[]): Promise<Encrypted> {
    try {
      const job: Job = { kind: 'encrypt-spans', lock, slot, spans };
      const { header, length, tag } = await ask<EncryptedInPlace>(pick(), job, content.length);
      const body = takeSpans([...spans], length);
      return {
        length: header.length + length + tag.length,
        copyTo(target, at) {
          target.set(header, at);
          copy(body, target, at + header.length);
          target.set(tag, at + header.length + length);
        },
        drop: content.drop,
      };
    } catch (error) {
      content.drop();
      throw error;
    }
  }

  return {
    digest,
    async encrypt(lock, slot, contents) {
      const [only] = contents;
      const spans = only && contents.length === 1 ? spansOf.get(only) : undefined;
      if (only && spans) return encryptInPlace(lock, slot, only, spans);
      const content = new Uint8Array(contents.reduce((sum, { length }) => sum + length, 0));
      let at = 0;
      for (const each of contents) {
        content.set(each.own(), at);
        each.drop();
        at += each.length;
      }
      const job: Job = { kind: 'encrypt-bytes', lock, slot, content };
      return encryptedOf(await ask<Uint8Array>(pick(), job, content.length, [content.buffer]));
    },
    async close() {
      closed = true;
      await Promise.all(threads.map((thread) => thread?.worker.terminate()));
    },
  };
}

/** At most `max` callers at a time. The result lets the next one in. */
function limitConcurrency(max: number): () => Promise<() => void> {
  const waiting: (() => void)[] = [];
  let inside = 0;
  return async () => {
    if (inside >= max) await new Promise<void>((resolve) => waiting.push(resolve));
    else inside++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      const next = waiting.shift();
      if (next) next();
      else inside--;
    };
  };
}
