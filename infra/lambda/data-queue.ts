/** Processes the messages of the data queue. */
import { awsDeployment } from './deployment.ts';
import { queueWorker } from './queue-worker.ts';

export const handler = queueWorker(awsDeployment(), 'data');
