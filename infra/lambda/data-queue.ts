/** Messages of the data queue. */
import { awsHome } from './home.ts';
import { queueWorker } from './queue-worker.ts';

export const handler = queueWorker(awsHome(), 'data');
