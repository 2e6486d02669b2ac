/** How long an S3 server may take. A slow answer is not an unreachable server, but each wait has an end. */
import type { Readable } from 'node:stream';
import { setTimeout as pause } from 'node:timers/promises';
import { SourceProblem } from './connector.ts';

export type S3Limits = {
  /** An answer must begin within this time. */
  answerMs: number;
  /** A body without data for this long fails. */
  idleMs: number;
  /** In each such time of waiting, a body must bring `slowBytes`. */
  slowMs: number;
  slowBytes: number;
  /** All tries of a page or of the header of an object together, with their pauses. */
  callMs: number;
  /** Empty pages in a row, and their time. A page ends earlier, so these bound a listing without progress. */
  emptyPages: number;
  emptyMs: number;
  /** The pause before the first retry, then doubled. */
  pauseMs: number;
  wait(ms: number, signal: AbortSignal): Promise<unknown>;
};

/**
 * Some servers need 40 s for the first byte of a listing. A page of the longest keys passes at 14 KB/s. Sixteen bodies
 * together pass at about 1 KiB/s. A bucket with ten million deleted versions needs 10,000 empty pages.
 */
export const defaultLimits: S3Limits = {
  ...{ answerMs: 90_000, idleMs: 30_000, slowMs: 60_000, slowBytes: 4096, callMs: 300_000 },
  ...{ emptyPages: 10_000, emptyMs: 600_000, pauseMs: 200 },
  wait: (ms, signal) => pause(ms, undefined, { signal }),
};

/** The server takes longer than the limits allow. */
export class TooSlow extends SourceProblem {
  constructor(what: string) {
    super('unreachable', `${what} Check the server and its network, then try again.`, { retryable: true });
  }
}

/** As text for the user. */
export function durationOf(ms: number): string {
  return ms < 120_000 ? `${Math.ceil(ms / 1000)} seconds` : `${Math.round(ms / 60_000)} minutes`;
}

/**
 * The data of a body. Only the time that the consumer waits for data counts. Destroys the body at the end.
 * @throws TooSlow, and the reason of `signal`
 */
export async function* paced(
  body: Readable,
  { idleMs, slowMs, slowBytes }: S3Limits,
  signal: AbortSignal | undefined,
): AsyncGenerator<Uint8Array, void> {
  const chunks = body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array, undefined>;
  const onAbort = () => void body.destroy(signal?.reason);
  const onIdle = () => void body.destroy(new TooSlow(`The server sent nothing for ${durationOf(idleMs)}.`));
  let waited = 0;
  let bytes = 0;
  signal?.addEventListener('abort', onAbort);
  try {
    signal?.throwIfAborted();
    for (;;) {
      const asked = performance.now();
      const idle = setTimeout(onIdle, idleMs);
      const { value, done } = await chunks.next().finally(() => clearTimeout(idle));
      if (done) return;
      waited += performance.now() - asked;
      bytes += value.length;
      if (waited >= slowMs) {
        if (bytes < slowBytes) throw new TooSlow(`The server sent only ${bytes} bytes in ${durationOf(waited)}.`);
        waited = 0;
        bytes = 0;
      }
      yield value;
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
    body.on('error', () => {}).destroy();
  }
}
