/** The loops that take messages from the queues and do what they ask, as Lambda's mappings do on AWS. */
import type { Log, Queue, QueueName, Received } from '../../domain/ports.ts';
import { askedPause } from '../../processors/runner.ts';

/** 2, 4, 8 … seconds, at most a minute; as long as the source asked for, when it did. */
function pauseSeconds(receives: number, error: unknown): number {
  return askedPause(error) ?? Math.min(2 ** receives, 60);
}

/** `deadline`: now, once the loops are to end; until then never. */
export type Handle = (body: Received['body'], delivery: { receives: number; readonly deadline: number }) => Promise<void>;

const visibilitySeconds = 60;
/** A long work extends its message in time; a dead process's message comes back by itself. */
const extendMilliseconds = 20_000;

/** Starts so many loops; the function ends them, once each has finished what it has in hand. */
export function startWorkers(queue: Queue, name: QueueName, loops: number, handle: Handle, log: Log): () => Promise<void> {
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
        await Promise.race([new Promise((resolve) => setTimeout(resolve, pause).unref()), stopping.promise]);
      }
    }
  }

  async function work(message: Received): Promise<void> {
    const extend = () =>
      queue.extend(name, message.receipt, visibilitySeconds).catch((error) => log.error('extend failed', { name }, error));
    const timer = setInterval(extend, extendMilliseconds);
    try {
      await handle(message.body, {
        receives: message.receives,
        get deadline() {
          return stopped ? 0 : Number.POSITIVE_INFINITY;
        },
      });
      await queue.ack(name, message.receipt);
    } catch (error) {
      log.error('a message failed; it comes again', { queue: name, receives: message.receives }, error);
      await queue.extend(name, message.receipt, pauseSeconds(message.receives, error)).catch(() => undefined);
    } finally {
      clearInterval(timer);
    }
  }

  const running = Array.from({ length: loops }, loop);
  return async () => {
    stopped = true;
    stopping.resolve();
    await Promise.all(running);
  };
}
