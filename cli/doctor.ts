/** `listbackup doctor`: the server's own checker, for whoever has its data folder on this machine. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { wantsJson } from './context.ts';
import { exitCodes, refusal } from './refusal.ts';

type Options = { data?: string; readData?: boolean; sources?: boolean };

/** It comes with the server, not with this program. */
const checker = fileURLToPath(new URL('../infra/embedded/doctor.ts', import.meta.url));

export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .summary('check a data folder on this machine')
    .description(
      'Looks for anything damaged, lost or left over in a data folder of ListBackup, and changes nothing. ListBackup must be stopped.',
    )
    .option('--data <folder>', 'the data folder, or a copy of one (default: LISTBACKUP_DATA, else .listbackup)')
    .option('--read-data', 'read and decrypt all that was ever backed up')
    .option('--sources', 'compare the newest backups with their sources, which should not have changed since')
    .addHelpText(
      'after',
      '\nEnds with 0 when nothing is wrong, 1 when something is, 2 when it could not check. With --json one object a line.',
    )
    .action(async ({ data, readData, sources }: Options, command: Command) => {
      if (!existsSync(checker))
        throw refusal(
          'no-server',
          'The server is not here',
          "Run it where ListBackup is installed: `npm run doctor` in ListBackup's folder.",
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
