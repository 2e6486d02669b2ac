/** Messages of the job queue. */
import { awsHome } from './home.ts';
import { queueWorker } from './queue-worker.ts';

export const handler = queueWorker(awsHome(), 'job');
