/** Which events start work, and on which queue it waits: infra makes the bus's rules from this list. */
import type { QueueName } from '../domain/ports.ts';

export const routes: { types: string[]; queue: QueueName }[] = [
  { types: ['run.requested.v1', 'run.ended.v1'], queue: 'job' },
  { types: ['download.requested.v1'], queue: 'data' },
];
