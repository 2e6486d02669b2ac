/**
 * The embedded home as a process that tests can end at a step boundary: `LISTBACKUP_FAULT=seal:line@2` is `kill -9` at the second time
 * that the run comes by there. Prints `{"url"}` once ready; at SIGTERM closes and prints how often each boundary was reached.
 */
import { startHome } from '../../infra/embedded/home.ts';
import { openLog } from '../../infra/embedded/log.ts';
import { readSettings } from '../../infra/embedded/settings.ts';
import { watched } from './boundaries.ts';
import { little } from './little.ts';

const [point, nth = '1'] = (process.env.LISTBACKUP_FAULT ?? '').split('@');
const trace: { [step: string]: number } = {};

function reached(step: string): void {
  trace[step] = (trace[step] ?? 0) + 1;
  if (step === point && trace[step] === Number(nth)) process.kill(process.pid, 'SIGKILL');
}

const home = await startHome(readSettings([], process.env), openLog(process.env.LISTBACKUP_LOG_LEVEL ?? 'silent'), {
  reached,
  limits: little,
  watch: (machine) => watched(machine, reached),
});
process.on('SIGTERM', async () => {
  await home.close();
  console.log(JSON.stringify({ trace }));
  process.exit(0);
});
console.log(JSON.stringify({ url: home.url }));
