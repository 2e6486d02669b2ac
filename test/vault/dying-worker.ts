/** A worker that dies over its tenth job. */
import { parentPort } from 'node:worker_threads';

let jobs = 0;
parentPort?.on('message', () => {
  if (++jobs === 10) process.exit(3);
});
await import('../../vault/worker.ts');
