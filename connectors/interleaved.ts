/** Reads several files of a network source at once. */
import { concernsSource, type Frame, type ReadRequest, SourceProblem } from './connector.ts';

/** Bytes that wait for the consumer. A source that is faster stops for a while. */
const maxWaiting = 4 * 1024 * 1024;

/**
 * The contents of the requests in frames, `concurrency` files at a time. `open` gives the pieces of one file, which
 * must stay valid. Its SourceProblem ends the file. Any other error, and a problem of the whole source, ends the
 * reading.
 */
export async function* interleaved(
  requests: ReadRequest[],
  concurrency: number,
  open: (request: ReadRequest) => AsyncIterable<Uint8Array>,
): AsyncGenerator<Frame, void> {
  let waiting: Frame = [];
  let bytes = 0;
  let next = 0;
  let active = Math.min(concurrency, requests.length);
  let failure: { error: unknown } | undefined;
  let stopped = false;
  let arrived = Promise.withResolvers<void>();
  let drained = Promise.withResolvers<void>();

  async function add(part: Frame[number]): Promise<void> {
    waiting.push(part);
    if ('bytes' in part) bytes += part.bytes.length;
    arrived.resolve();
    while (bytes >= maxWaiting && !stopped) await drained.promise;
  }

  async function readOne(index: number): Promise<void> {
    try {
      for await (const piece of open(requests[index] as ReadRequest)) {
        await add({ index, bytes: piece });
        if (stopped) return;
      }
      await add({ index, bytes: new Uint8Array(), end: true });
    } catch (error) {
      if (!(error instanceof SourceProblem) || concernsSource(error)) throw error;
      await add({ index, problem: error });
    }
  }

  async function readOthers(): Promise<void> {
    try {
      while (next < requests.length && !stopped) await readOne(next++);
    } catch (error) {
      failure ??= { error };
      stopped = true;
    } finally {
      active--;
      arrived.resolve();
    }
  }

  const readers = Array.from({ length: active }, readOthers);
  try {
    for (;;) {
      if (failure) throw failure.error;
      if (waiting.length > 0) {
        const frame = waiting;
        waiting = [];
        bytes = 0;
        drained.resolve();
        drained = Promise.withResolvers();
        yield frame;
        continue;
      }
      if (active === 0) return;
      await arrived.promise;
      arrived = Promise.withResolvers();
    }
  } finally {
    stopped = true;
    drained.resolve();
    await Promise.all(readers);
  }
}
