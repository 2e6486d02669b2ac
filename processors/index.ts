/** Events that start work, and the queue that gets them. Each deployment makes its bus rules from this list. */
import type { QueueName } from '../domain/ports.ts';

export const routes: { types: string[]; queue: QueueName }[] = [
  { types: ['run.requested.v1', 'run.ended.v1'], queue: 'job' },
  { types: ['download.requested.v1'], queue: 'data' },
];
