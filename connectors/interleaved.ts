/** Reads several files of a network source at once. */
import { concernsSource, type Frame, type ReadRequest, SourceProblem } from './connector.ts';

/** Bytes that wait for the consumer. A source that is faster stops for a while. */
const maxWaiting = 4 * 1024 * 1024;

/**
 * The contents of the requests in frames, `concurrency` files at a time. `open` gives the pieces of one file, which
 * must stay valid. Its SourceProblem ends the file. Any other error, and a problem of the whole source, ends the
 * reading. The signal that `open` gets aborts when the reading ends for any reason. `open` must end at once then.
 */
export async function* interleaved(
  requests: ReadRequest[],
  concurrency: number,
  open: (request: ReadRequest, signal: AbortSignal) => AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): AsyncGenerator<Frame, void> {
  let waiting: Frame = [];
  let bytes = 0;
  let next = 0;
  let active = Math.min(concurrency, requests.length);
  let failure: { error: unknown } | undefined;
  const stopping = new AbortController();
  let arrived = Promise.withResolvers<void>();
  let drained = Promise.withResolvers<void>();

  const stop = (error: unknown) => {
    failure ??= { error };
    stopping.abort(error);
    arrived.resolve();
    drained.resolve();
  };
  const onAbort = () => stop(signal?.reason);

  async function add(part: Frame[number]): Promise<void> {
    waiting.push(part);
    if ('bytes' in part) bytes += part.bytes.length;
    arrived.resolve();
    while (bytes >= maxWaiting && !stopping.signal.aborted) await drained.promise;
  }

  async function readOne(index: number): Promise<void> {
    try {
      for await (const piece of open(requests[index] as ReadRequest, stopping.signal)) {
        await add({ index, bytes: piece });
        if (stopping.signal.aborted) return;
      }
      await add({ index, bytes: new Uint8Array(), end: true });
    } catch (error) {
      if (!(error instanceof SourceProblem) || concernsSource(error)) throw error;
      await add({ index, problem: error });
    }
  }

  async function readOthers(): Promise<void> {
    try {
      while (next < requests.length && !stopping.signal.aborted) await readOne(next++);
    } catch (error) {
      stop(error);
    } finally {
      active--;
      arrived.resolve();
    }
  }

  signal?.throwIfAborted();
  signal?.addEventListener('abort', onAbort);
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
    signal?.removeEventListener('abort', onAbort);
    stop(new Error('the reading has ended'));
    await Promise.all(readers);
  }
}
