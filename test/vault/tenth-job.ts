/** Ends the importing thread when its tenth job arrives. */
import { parentPort } from 'node:worker_threads';

let jobs = 0;
parentPort?.on('message', () => {
  if (++jobs === 10) process.exit(3);
});
