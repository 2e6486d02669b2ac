/** The routes and limits of the queues. Each deployment sets up its queues with them. */
import type { QueueName } from '../domain/ports.ts';

/** Events that start work, and the queue that gets them. Each deployment makes its bus rules from this list. */
export const routes: { types: string[]; queue: QueueName }[] = [
  { types: ['run.requested.v1', 'run.ended.v1'], queue: 'job' },
  { types: ['download.requested.v1'], queue: 'data' },
];

/** After this many receives a message becomes a dead letter. At the last one its run fails with the reason. */
export const maxReceives = 5;
