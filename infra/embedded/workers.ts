/** The loops that take messages from the queues and do what they ask, as Lambda's mappings do on AWS. */
import { Problem } from '../../domain/errors.ts';
import type { Log, Queue, QueueName, Received } from '../../domain/ports.ts';
import { askedPause } from '../../processors/runner.ts';
import { maxReceives } from '../limits.ts';

/** 2, 4, 8 … seconds, at most a minute; as long as the source asked for, when it did. */
function pauseSeconds(receives: number, error: unknown): number {
  return askedPause(error) ?? Math.min(2 ** receives, 60);
}

/** `deadline`: now, once the loops are to end; until then never. */
export type Handle = (
  body: Received['body'],
  delivery: { receives: number; readonly deadline: number },
) => Promise<void>;

const visibilitySeconds = 60;
/** A long work extends its message in time; a dead process's message comes back by itself. */
const extendMilliseconds = 20_000;

/** Starts so many loops; the function ends them, once each has finished what it has in hand. */
export function startWorkers(
  queue: Queue,
  name: QueueName,
  loops: number,
  handle: Handle,
  log: Log,
): () => Promise<void> {
  let stopped = false;
  const stopping = Promise.withResolvers<void>();

  async function loop(): Promise<void> {
    for (let failures = 0; !stopped; ) {
      try {
        const [message] = await queue.receive(name, { max: 1, visibilitySeconds, waitSeconds: 60 });
        failures = 0;
        if (message) await work(message);
      } catch (error) {
        // A full disk may have room again: a loop that ended would leave its queue standing.
        const pause = Math.min(100 * 2 ** failures++, 10_000);
        log.error('nothing could be received; trying again', { queue: name, pause }, error);
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
      log.error('a message could not be kept longer', { queue: name }, error);
      return false;
    }
  }

  /**
   * False when it is to be done again in hand: the queue could not even be told how it went, or the message would be put aside although it is
   * this machine's disk that is full. So neither counts as one of the times that a message is tried.
   */
  async function isSettled(message: Received): Promise<boolean> {
    try {
      await handle(message.body, {
        receives: message.receives,
        get deadline() {
          return stopped ? 0 : Number.POSITIVE_INFINITY;
        },
      });
      await queue.ack(name, message.receipt);
      return true;
    } catch (error) {
      log.error('a message failed; it comes again', { queue: name, receives: message.receives }, error);
      const isDisk = error instanceof Problem && error.code === 'storage-full';
      if (isDisk && message.receives >= maxReceives) return stopped;
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
