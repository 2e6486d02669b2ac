/** A worker thread of the vault: takes jobs (worker-pool.ts) one after another. */
import { parentPort, workerData } from 'node:worker_threads';
import type { Span } from './arena.ts';
import { free } from './bytes.ts';
import { maxChunk } from './chunker.ts';
import { type Digest, type DigestKeys, digester } from './digest.ts';
import { encryptSlot, encryptSlotParts } from './pack.ts';
import type { Answer, Asked, EncryptedInPlace, Job } from './worker-pool.ts';

const memory = new Uint8Array(workerData as SharedArrayBuffer);
const streams = new Map<number, Digest>();
/** Chunker and hash cache by key object, so all streams of an account must use the same objects. */
const known = new Map<string, DigestKeys>();
let scratch: Uint8Array | undefined;

parentPort?.on('message', ({ number, job }: Asked) => {
  try {
    const { result, give = [] } = perform(job);
    if (job.kind !== 'abort') answer({ number, result }, give);
  } catch (error) {
    answer({ number, error: error instanceof Error ? error.message : 'a worker failed' });
  }
});

function answer(message: Answer, give: ArrayBuffer[] = []): void {
  parentPort?.postMessage(message, give);
}

function perform(job: Job): { result: unknown; give?: ArrayBuffer[] } {
  switch (job.kind) {
    case 'push':
      return { result: streamOf(job).push(viewOf(job.span)) };
    case 'end': {
      const result = streamOf(job).end();
      streams.delete(job.stream);
      return { result };
    }
    case 'abort':
      streams.delete(job.stream);
      return { result: undefined };
    case 'encrypt-spans': {
      const { header, body, tag } = encryptSlotParts(job.lock, job.slot, gathered(job.spans));
      scatter(body, job.spans);
      const { length } = body;
      // The body is unusable after this.
      free(body);
      return { result: { header, length, tag } satisfies EncryptedInPlace };
    }
    case 'encrypt-bytes': {
      const encrypted = encryptSlot(job.lock, job.slot, [job.content]);
      free(job.content);
      // Small ones lie in memory that Node shares out, and are copied.
      return encrypted.buffer.byteLength > Buffer.poolSize
        ? { result: encrypted, give: [encrypted.buffer as ArrayBuffer] }
        : { result: new Uint8Array(encrypted) };
    }
  }
}

function streamOf({ stream, keys }: { stream: number; keys?: DigestKeys }): Digest {
  const digest = streams.get(stream) ?? (keys && digester(same(keys)));
  if (!digest) throw new Error('the stream was not started');
  streams.set(stream, digest);
  return digest;
}

function same(keys: DigestKeys): DigestKeys {
  const name = Buffer.from(keys.chunkId).toString('latin1');
  const first = known.get(name) ?? keys;
  if (known.size >= 64) known.clear();
  known.set(name, first);
  return first;
}

function viewOf({ at, length }: Span): Uint8Array {
  return memory.subarray(at, at + length);
}

/** The bytes of the spans, joined. Valid until the next call. */
function gathered(spans: Span[]): Uint8Array {
  const [only] = spans;
  if (only && spans.length === 1) return viewOf(only);
  scratch ??= Buffer.allocUnsafeSlow(maxChunk);
  let end = 0;
  for (const span of spans) {
    scratch.set(viewOf(span), end);
    end += span.length;
  }
  return scratch.subarray(0, end);
}

function scatter(bytes: Uint8Array, spans: Span[]): void {
  let from = 0;
  for (const { at, length } of spans) {
    memory.set(bytes.subarray(from, from + length), at);
    from += length;
  }
}
