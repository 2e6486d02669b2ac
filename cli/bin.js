#!/usr/bin/env node
// The launcher. It is plain JavaScript, so that any Node from 20 on can run it.
// It starts the Node that this repository pins, which runs TypeScript.
import { spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const node = createRequire(import.meta.url).resolve('node/bin/node');
const program = fileURLToPath(new URL('listbackup.ts', import.meta.url));
const child = spawn(node, ['--disable-warning=ExperimentalWarning', program, ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// The program decides how Ctrl+C ends it. The launcher waits for its exit code.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
child.on('exit', (code, signal) => {
  if (signal === null) process.exit(code);
  process.removeAllListeners(signal).kill(process.pid, signal);
});
