/** The `Bus` port: sends each event to the queue of every route that lists its type. */
import type { Bus, Queue, QueueName } from '../../domain/ports.ts';

/** `types` are exact event types, for example `run.requested.v1`. */
export type Route = { types: string[]; queue: QueueName };

export function makeBus(queue: Queue, routes: Route[]): Bus {
  return {
    async publish(events) {
      for (const route of routes) {
        const messages = events
          .filter((event) => route.types.includes(event.type))
          .map((event) => ({ body: { ...event } }));
        if (messages.length > 0) await queue.send(route.queue, messages);
      }
    },
  };
}
