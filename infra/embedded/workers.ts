/** Receives queue messages and handles them. On AWS, Lambda event source mappings do the same. */
import { Problem } from '../../domain/errors.ts';
import type { Log, Queue, QueueName, Received } from '../../domain/ports.ts';
import type { Slice } from '../../tasks/run-task.ts';

export type Handle = (body: Received['body'], slice: Slice) => Promise<void>;

/** A message whose handling takes longer becomes visible again. Its task is leased then, so that nothing happens. */
const visibilitySeconds = 60;

/** Starts `loops` workers. Returns a function that stops them, each after its current message. */
export function startWorkers(
  queue: Pick<Queue, 'receive' | 'ack' | 'extend' | 'isWaiting'>,
  name: QueueName,
  loops: number,
  handle: Handle,
  log: Log,
): () => Promise<void> {
  let stopped = false;
  const stopping = Promise.withResolvers<void>();
  const slice: Slice = {
    get deadline() {
      return stopped ? 0 : Number.POSITIVE_INFINITY;
    },
    othersWait: () => queue.isWaiting(name),
  };

  async function loop(): Promise<void> {
    for (let failures = 0; !stopped; ) {
      try {
        const [message] = await queue.receive(name, { max: 1, visibilitySeconds, waitSeconds: 60 });
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

  /** Handles the message. The queue sends it again if it fails, and the reaper its task in any case. */
  async function work({ body, receipt, receives }: Received): Promise<void> {
    for (let failures = 0; ; failures++) {
      try {
        await handle(body, slice);
        return await queue.ack(name, receipt);
      } catch (error) {
        if (stopped && error instanceof Problem && error.code === 'unavailable') return;
        log.error('a message failed, will retry', { queue: name, receives }, error);
        const isNoted = await queue.extend(name, receipt, Math.min(2 ** receives, 60)).then(
          () => true,
          () => false,
        );
        if (isNoted || stopped) return;
        // The disk is full. The message would stay invisible for a minute.
        await pauseFor(Math.min(100 * 2 ** failures, 10_000));
      }
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
