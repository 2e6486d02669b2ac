/** A worker thread of the vault: takes jobs (workers.ts) one after another and hands the bytes back. */
import { parentPort } from 'node:worker_threads';
import { type Digest, type DigestKeys, digester, type Piece } from './digest.ts';
import { sealSlot } from './pack.ts';
import { type Answer, type Asked, alone, type Job } from './workers.ts';

const streams = new Map<number, Digest>();
/** Chunker and hash keep something for the keys they are given, so that all streams of an account must come with the very same. */
const known = new Map<string, DigestKeys>();

parentPort?.on('message', ({ number, job }: Asked) => {
  try {
    const { result, give } = perform(job);
    if (job.kind !== 'abort') answer({ number, result }, give);
  } catch (error) {
    answer({ number, error: error instanceof Error ? error.message : 'a worker failed' }, []);
  }
});

function answer(message: Answer, give: Uint8Array[]): void {
  parentPort?.postMessage(
    message,
    give.map(({ buffer }) => buffer as ArrayBuffer),
  );
}

function perform(job: Job): { result: unknown; give: Uint8Array[] } {
  switch (job.kind) {
    case 'push': {
      const pieces = streamOf(job).push(job.slice).map(owned);
      return { result: pieces, give: pieces.map(({ bytes }) => bytes) };
    }
    case 'end': {
      const ended = streamOf(job).end();
      streams.delete(job.stream);
      const pieces = ended.pieces.map(owned);
      return { result: { ...ended, pieces }, give: pieces.map(({ bytes }) => bytes) };
    }
    case 'abort':
      streams.delete(job.stream);
      return { result: undefined, give: [] };
    case 'seal': {
      const sealed = alone(sealSlot(job.lock, job.slot, [job.content]));
      return { result: sealed, give: [sealed] };
    }
  }
}

function streamOf({ stream, keys }: { stream: number; keys?: DigestKeys }): Digest {
  const digest = streams.get(stream) ?? (keys && digester(same(keys)));
  if (!digest) throw new Error('a stream goes on that never began');
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

function owned({ id, bytes }: Piece): Piece {
  return { id, bytes: alone(bytes) };
}
