/** The routes and limits of the queues. Each deployment sets up its queues with them. */
import type { QueueName } from '../domain/ports.ts';

/** Events that start work, and the queue that gets them. Each deployment makes its bus rules from this list. */
export const routes: { types: string[]; queue: QueueName }[] = [
  { types: ['run.requested.v1', 'run.ended.v1', 'run.paused.v1', 'run.resumed.v1'], queue: 'job' },
  { types: ['download.requested.v1'], queue: 'data' },
];

/** Workers of each queue. An account has at most a quarter of them. */
export const maxWorkers: { [queue in QueueName]: number } = { job: 20, data: 50 };

/** After this many receives a message becomes a dead letter. The reaper sends its task again in any case. */
export const maxReceives = 5;
