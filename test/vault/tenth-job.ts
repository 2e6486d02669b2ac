/** Ends the thread that it is imported into as soon as a tenth job comes. */
import { parentPort } from 'node:worker_threads';

let jobs = 0;
parentPort?.on('message', () => {
  if (++jobs === 10) process.exit(3);
});
