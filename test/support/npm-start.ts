/** Runs `npm start` as a user does, on a free port with its own data folder. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export type Started = {
  url: string;
  docs: string;
  live: string;
  data: string;
  process: ChildProcess;
  /** The text on standard output and on standard error until now. */
  shown(): string;
  warnings(): string;
  stop(): Promise<number | null>;
};

export async function npmStart(env: { [name: string]: string } = {}, args: string[] = []): Promise<Started> {
  const data = env.LISTBACKUP_DATA ?? mkdtempSync(join(tmpdir(), 'listbackup-data-'));
  const child = spawn('npm', ['start', '--', '--json', ...args], {
    env: { ...process.env, PORT: '0', LISTBACKUP_DATA: data, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  let shown = '';
  child.stdout?.on('data', (text) => {
    shown += text;
  });
  let errors = '';
  child.stderr?.on('data', (text) => {
    errors += text;
  });
  const ended = new Promise<number | null>((resolve) => child.on('exit', (code) => resolve(code)));
  const addresses = await new Promise<{ url: string; docs: string; live: string; data: string }>((resolve, reject) => {
    if (child.stdout)
      createInterface(child.stdout).on('line', (line) => line.startsWith('{') && resolve(JSON.parse(line)));
    ended.then((code) => reject(new Error(`npm start ended with ${code}: ${errors}`)));
  });
  return {
    ...addresses,
    process: child,
    shown: () => shown,
    warnings: () => errors,
    async stop() {
      child.kill('SIGTERM');
      const code = await ended;
      if (env.LISTBACKUP_DATA === undefined) rmSync(data, { recursive: true, force: true });
      return code;
    },
  };
}
