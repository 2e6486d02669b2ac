/** `npm start`. */
import { rm } from 'node:fs/promises';
import { startHome } from './home.ts';
import { openLog } from './log.ts';
import { readSettings } from './settings.ts';

try {
  const settings = readSettings(process.argv.slice(2), process.env);
  if (settings.reset) await rm(settings.data, { recursive: true, force: true });
  const home = await startHome(settings, openLog(process.env.LISTBACKUP_LOG_LEVEL));
  let ending = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (ending) return;
      ending = true;
      home.close().then(
        () => process.exit(0),
        (error) => fail(error),
      );
    });
  }
  const { url } = home;
  const about = { url, docs: `${url}/docs`, live: `${url.replace('http', 'ws')}/live`, data: settings.data };
  console.log(`ListBackup is ready.\n\n  API      ${about.url}\n  Docs     ${about.docs}\n  Data     ${about.data}\n\nCtrl+C ends it.`);
  if (settings.json) console.log(JSON.stringify(about));
} catch (error) {
  fail(error);
}

function fail(error: unknown): never {
  const { code, message, port } = error as NodeJS.ErrnoException & { port?: number };
  console.error(code === 'EADDRINUSE' ? `Port ${port} is taken. End what uses it, or choose another: PORT=4001 npm start` : message);
  process.exit(1);
}
