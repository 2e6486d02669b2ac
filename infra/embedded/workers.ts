/** Receives queue messages and handles them. On AWS, Lambda event source mappings do the same. */
import { SourceProblem } from '../../connectors/connector.ts';
import { Problem } from '../../domain/errors.ts';
import type { Log, QueueName, Received } from '../../domain/ports.ts';
import { maxReceives } from '../../processors/index.ts';
import { askedPause } from '../../processors/runner.ts';
import type { EmbeddedQueue } from './queue.ts';

/** Returns the pause that the source asked for. Otherwise 2, 4, 8 … seconds, at most a minute. */
function pauseSeconds(receives: number, error: unknown): number {
  return askedPause(error) ?? Math.min(2 ** receives, 60);
}

/** `deadline` is 0 once the workers stop. */
export type Handle = (
  body: Received['body'],
  delivery: { receives: number; readonly deadline: number },
) => Promise<void>;

const visibilitySeconds = 60;
/** Long work extends its message in time. The message of a dead process becomes visible by itself. */
const extendMilliseconds = 20_000;

type Options = {
  /** Message types that these workers leave to others. */
  except?: readonly string[];
  /** How long a message may be handled (ms). It may change during the work. */
  limitMs?: () => number;
};

/** Starts `loops` workers. Returns a function that stops them, each after its current message. */
export function startWorkers(
  queue: Pick<EmbeddedQueue, 'receive' | 'ack' | 'extend'>,
  name: QueueName,
  loops: number,
  handle: Handle,
  log: Log,
  { except = [], limitMs = () => Number.POSITIVE_INFINITY }: Options = {},
): () => Promise<void> {
  let stopped = false;
  const stopping = Promise.withResolvers<void>();

  async function loop(): Promise<void> {
    for (let failures = 0; !stopped; ) {
      try {
        const [message] = await queue.receive(name, { max: 1, visibilitySeconds, waitSeconds: 60, except });
        failures = 0;
        if (message) await work(message);
      } catch (error) {
        // A full disk may have space again later. A worker that ended would stop its queue.
        const pause = Math.min(100 * 2 ** failures++, 10_000);
        log.error('receiving messages failed, will retry', { queue: name, pause }, error);
        await pauseFor(pause);
      }
    }
  }

  async function work(message: Received): Promise<void> {
    const timer = setInterval(() => isExtended(message, visibilitySeconds), extendMilliseconds);
    for (let pause = 100; !(await isSettled(message)); ) {
      do {
        await pauseFor(pause);
        pause = Math.min(2 * pause, 10_000);
      } while (!(await isExtended(message, visibilitySeconds)) && !stopped);
    }
    clearInterval(timer);
  }

  async function isExtended({ receipt }: Received, seconds: number): Promise<boolean> {
    try {
      await queue.extend(name, receipt, seconds);
      return true;
    } catch (error) {
      log.error('extending a message failed', { queue: name }, error);
      return false;
    }
  }

  /**
   * Handles the message. Returns false if this worker must handle it again itself, without counting a receive.
   * That happens if the queue cannot store the outcome, if a full disk would turn the message into a dead letter, or if
   * the work was interrupted by something else (`unavailable`): the server stops, or another source blocked the thread.
   */
  async function isSettled(message: Received): Promise<boolean> {
    const begun = Date.now();
    try {
      await handle(message.body, {
        receives: message.receives,
        get deadline() {
          return stopped ? 0 : begun + limitMs();
        },
      });
      await queue.ack(name, message.receipt);
      return true;
    } catch (error) {
      if (error instanceof Problem && error.code === 'unavailable') return stopped;
      // `handleMessage` has logged a problem of the source, with its run.
      if (!(error instanceof SourceProblem))
        log.error('a message failed, will retry', { queue: name, receives: message.receives }, error);
      const isDiskFull = error instanceof Problem && error.code === 'storage-full';
      if (isDiskFull && message.receives >= maxReceives) return stopped;
      return (await isExtended(message, pauseSeconds(message.receives, error))) || stopped;
    }
  }

  async function pauseFor(milliseconds: number): Promise<void> {
    await Promise.race([new Promise((resolve) => setTimeout(resolve, milliseconds).unref()), stopping.promise]);
  }

  const running = Array.from({ length: loops }, loop);
  return async () => {
    stopped = true;
    stopping.resolve();
    await Promise.all(running);
  };
}
