/** `npm start`: prints a start banner, or one line that says what is wrong. */
import { nameOf } from './bucket.ts';
import { startDemo } from './demo.ts';
import { openLog } from './log.ts';
import { resetData } from './reset.ts';
import { startServer } from './server.ts';
import { readSettings, type Settings, startUsage } from './settings.ts';
import { describeStartError } from './start-error.ts';

/** A stop does not wait longer for open work, because the next start continues it. */
const longestStopMs = 8_000;

try {
  const settings = readSettings(process.argv.slice(2), process.env);
  if (settings.help) {
    console.log(startUsage);
    process.exit(0);
  }
  if (settings.reset) await resetData(settings.data).catch((error) => fail(error, settings));
  const server = await startServer(settings, openLog(settings.logLevel)).catch((error) => fail(error, settings));
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      setTimeout(() => process.exit(0), longestStopMs).unref();
      server.close().then(() => process.exit(0), fail);
    });
  }
  const { url, runsOpen } = server;
  const addresses = { url, docs: `${url}/docs`, live: `${url.replace('http', 'ws')}/live`, data: settings.data };
  const lines = [
    `ListBackup ${server.version} is ready.`,
    '',
    `  API      ${addresses.url}`,
    `  Docs     ${addresses.docs}`,
    `  Live     ${addresses.live}`,
    `  Data     ${addresses.data}`,
    ...(settings.blobs ? [`  Blobs    ${nameOf(settings.blobs)}`] : []),
    `  Runs     ${openRunsText(runsOpen)}`,
  ];
  if (settings.demo) lines.push('', ...(await startDemo(url)));
  console.log([...lines, '', 'Press Ctrl+C to stop. Open runs continue at the next start.'].join('\n'));
  if (settings.json) console.log(JSON.stringify(addresses));
} catch (error) {
  fail(error);
}

function openRunsText(count: number): string {
  if (count === 0) return 'no open runs';
  return count === 1 ? '1 open run continues' : `${count} open runs continue`;
}

function fail(error: unknown, settings?: Settings): never {
  console.error(describeStartError(error, settings));
  process.exit(1);
}
