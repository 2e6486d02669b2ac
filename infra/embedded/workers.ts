/** The loops that take messages from the queues and do what they ask, as Lambda's mappings do on AWS. */
import type { Log, Queue, QueueName, Received } from '../../domain/ports.ts';

export type Handle = (body: Received['body'], delivery: { receives: number; deadline: number }) => Promise<void>;

const visibilitySeconds = 60;
/** A long work extends its message in time; a dead process's message comes back by itself. */
const extendMilliseconds = 20_000;

/** Starts so many loops; the function ends them, once each has finished what it has in hand. */
export function startWorkers(queue: Queue, name: QueueName, loops: number, handle: Handle, log: Log): () => Promise<void> {
  let stopped = false;

  async function loop(): Promise<void> {
    while (!stopped) {
      const [message] = await queue.receive(name, { max: 1, visibilitySeconds, waitSeconds: 60 });
      if (message) await work(message);
    }
  }

  async function work(message: Received): Promise<void> {
    const extend = () =>
      queue.extend(name, message.receipt, visibilitySeconds).catch((error) => log.error('extend failed', { name }, error));
    const timer = setInterval(extend, extendMilliseconds);
    try {
      await handle(message.body, { receives: message.receives, deadline: Number.POSITIVE_INFINITY });
      await queue.ack(name, message.receipt);
    } catch (error) {
      log.error('a message failed; it comes again', { queue: name, receives: message.receives }, error);
      await queue.extend(name, message.receipt, Math.min(2 ** message.receives, 60)).catch(() => undefined);
    } finally {
      clearInterval(timer);
    }
  }

  const running = Array.from({ length: loops }, () => loop().catch((error) => log.error('a worker ended', { queue: name }, error)));
  return async () => {
    stopped = true;
    await Promise.all(running);
  };
}
