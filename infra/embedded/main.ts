/** What `npm start` does: one screen, or one line that says what is wrong. */
import { nameOf } from './bucket.ts';
import { startDemo } from './demo.ts';
import { openLog } from './log.ts';
import { resetData } from './reset.ts';
import { startServer } from './server.ts';
import { readSettings, type Settings } from './settings.ts';
import { describeStartError } from './start-error.ts';

/** Work that is cut off goes on at the next start, so that ending need not wait for a large file. */
const patienceMilliseconds = 8_000;

try {
  const settings = readSettings(process.argv.slice(2), process.env);
  if (settings.reset) await resetData(settings.data);
  const deployment = await startServer(settings, openLog(process.env.LISTBACKUP_LOG_LEVEL)).catch((error) =>
    refuse(error, settings),
  );
  let ending = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (ending) return;
      ending = true;
      setTimeout(() => process.exit(0), patienceMilliseconds).unref();
      deployment.close().then(() => process.exit(0), refuse);
    });
  }
  const { url, runsOpen } = deployment;
  const about = { url, docs: `${url}/docs`, live: `${url.replace('http', 'ws')}/live`, data: settings.data };
  const lines = [
    `ListBackup ${deployment.version} is ready.`,
    '',
    `  API      ${about.url}`,
    `  Docs     ${about.docs}`,
    `  Live     ${about.live}`,
    `  Data     ${about.data}`,
    ...(settings.blobs ? [`  Blobs    ${nameOf(settings.blobs)}`] : []),
    `  Running  ${runsOpen === 0 ? 'nothing' : `${runsOpen} ${runsOpen === 1 ? 'run goes' : 'runs go'} on where ${runsOpen === 1 ? 'it' : 'they'} stopped`}`,
  ];
  if (settings.demo) lines.push('', ...(await startDemo(url)));
  console.log([...lines, '', 'Ctrl+C ends it; nothing is lost.'].join('\n'));
  if (settings.json) console.log(JSON.stringify(about));
} catch (error) {
  refuse(error);
}

function refuse(error: unknown, settings?: Settings): never {
  console.error(describeStartError(error, settings));
  process.exit(1);
}
