/** `listbackup doctor`: runs the doctor of the server on a data folder of this computer. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { wantsJson } from './context.ts';
import { exitCodes, refusal } from './refusal.ts';

type Options = { data?: string; readData?: boolean; sources?: boolean };

/** Part of the server, so it may be missing where only the CLI is installed. */
const checker = fileURLToPath(new URL('../infra/embedded/doctor.ts', import.meta.url));

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .summary('check a data folder on this computer')
    .description(
      'Checks a data folder of ListBackup for damaged, lost or left-over data. Changes nothing. Stop ListBackup first, or check a copy of the folder.',
    )
    .option('--data <folder>', 'data folder, or a copy of it (default: LISTBACKUP_DATA, else .listbackup)')
    .option('--read-data', 'also read and decrypt all backed-up content')
    .option(
      '--sources',
      'also compare the newest backups with their sources. A file that changed since its backup counts as a failure',
    )
    .addHelpText(
      'after',
      '\nExit code: 0 no failures, 1 failures found, 2 the check could not run.\nWith --json it prints one object per line.',
    )
    .action(async ({ data, readData, sources }: Options, command: Command) => {
      if (!existsSync(checker))
        throw refusal(
          'no-server',
          'The server is not installed here',
          'Run `npm run doctor` in the folder in which the server is installed.',
          exitCodes.partial,
        );
      const args = [
        ...(data === undefined ? [] : [`--data=${data}`]),
        ...(readData ? ['--read-data'] : []),
        ...(sources ? ['--sources'] : []),
      ];
      const json = wantsJson(command) ? ['--json'] : [];
      const child = spawn(process.execPath, [...process.execArgv, checker, ...args, ...json], { stdio: 'inherit' });
      const [code] = await once(child, 'exit');
      process.exitCode = typeof code === 'number' ? code : exitCodes.partial;
    });
}
