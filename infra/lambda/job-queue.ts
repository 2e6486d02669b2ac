/** Processes the messages of the job queue. */
import { awsDeployment } from './deployment.ts';
import { queueWorker } from './queue-worker.ts';

export const handler = queueWorker(awsDeployment(), 'job');
