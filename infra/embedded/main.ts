/** `npm start`: prints a start banner, or one line that says what is wrong. */
import { existsSync } from 'node:fs';
import { nameOf } from './bucket.ts';
import { requireDataFolder, resetData } from './data-folder.ts';
import { startDemo } from './demo.ts';
import { holdable, openLog } from './log.ts';
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
  await prepareDataFolder(settings).catch((error) => fail(error, settings));
  for (const folder of settings.folders.filter((folder) => !existsSync(folder)))
    console.error(`${folder} in LISTBACKUP_FOLDERS does not exist. Mount or create it, or correct the setting.`);
  const { log, hold, release } = holdable(openLog(settings.logLevel));
  const server = await startServer(settings, log).catch((error) => fail(error, settings));
  let stopping = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (stopping) return;
      stopping = true;
      setTimeout(() => process.exit(0), longestStopMs).unref();
      server.close().then(() => process.exit(0), fail);
    });
  }
  const { url } = server;
  const addresses = { url, docs: `${url}/docs`, live: `${url.replace('http', 'ws')}/live`, data: settings.data };
  const lines = [
    `ListBackup ${server.version} is ready.`,
    '',
    `  API      ${addresses.url}`,
    `  Docs     ${addresses.docs}`,
    `  Live     ${addresses.live}`,
    `  Data     ${addresses.data}`,
    ...(settings.blobs ? [`  Blobs    ${nameOf(settings.blobs)}`] : []),
  ];
  // The failed run of the demo is logged. That line follows the start banner.
  if (settings.demo) hold();
  const demo = settings.demo ? ['', ...(await startDemo(url))] : [];
  lines.push(`  Runs     ${openRunsText(await server.openRuns())}`, ...demo);
  console.log([...lines, '', 'Press Ctrl+C to stop. Open runs continue at the next start.'].join('\n'));
  if (settings.json) console.log(JSON.stringify(addresses));
  release();
} catch (error) {
  fail(error);
}

async function prepareDataFolder({ data, reset }: Settings): Promise<void> {
  if (!reset) return requireDataFolder(data);
  const foreign = await resetData(data);
  if (foreign.length === 0) return;
  console.error(`${data} also holds files that ListBackup did not make. They remain: ${foreign.join(', ')}.`);
}

function openRunsText(count: number): string {
  if (count === 0) return 'no open runs';
  return count === 1 ? '1 open run' : `${count} open runs`;
}

function fail(error: unknown, settings?: Settings): never {
  console.error(describeStartError(error, settings));
  process.exit(1);
}
