/**
 * The self-hosted server as a process that kills itself at a boundary.
 *
 * With `LISTBACKUP_FAULT=commit:restore-point@2` it dies when it reaches that boundary for the second time, with `*@37`
 * at the 37th boundary of any kind. `LISTBACKUP_CHAOS=7` seeds faults of feeds and queues. `LISTBACKUP_NOW` is the
 * clock at the start, in ms since the epoch. `LISTBACKUP_THREADS` is the number of engine threads.
 *
 * The process prints `{"url"}` when it is ready. At SIGTERM it closes and prints how often it reached each boundary.
 */

import { makeChaos } from '../../infra/embedded/chaos.ts';
import { openLog } from '../../infra/embedded/log.ts';
import { startServer } from '../../infra/embedded/server.ts';
import { readSettings } from '../../infra/embedded/settings.ts';
import { watched } from './boundaries.ts';
import { smallLimits } from './small-limits.ts';

const { LISTBACKUP_FAULT: fault = '', LISTBACKUP_CHAOS: seed } = process.env;
const { LISTBACKUP_NOW: startedAt, LISTBACKUP_THREADS: threads } = process.env;
const [point, nth = '1'] = fault.split('@');
const trace: { [step: string]: number } = {};
let boundaries = 0;
const clock = startedAt ? { now: () => Math.floor(Number(startedAt) + performance.now()) } : {};

function reached(step: string): void {
  trace[step] = (trace[step] ?? 0) + 1;
  boundaries++;
  const times = point === '*' ? boundaries : point === step ? trace[step] : 0;
  if (times === Number(nth)) process.kill(process.pid, 'SIGKILL');
}

const settings = readSettings([], process.env);
const deployment = await startServer(settings, openLog(settings.logLevel ?? 'silent'), {
  reached,
  limits: smallLimits,
  watch: (platform) => watched({ ...platform, ...clock }, reached),
  ...(threads && { threads: Number(threads) }),
  ...(seed && { chaos: makeChaos(Number(seed)) }),
});
process.on('SIGTERM', async () => {
  await deployment.close();
  console.log(JSON.stringify({ trace }));
  process.exit(0);
});
console.log(JSON.stringify({ url: deployment.url }));
