/** All commands and options of `listbackup`. */
import { Command, Option } from 'commander';
import { addActivityCommand } from './commands/activity.ts';
import { addFileCommands } from './commands/files.ts';
import { addGetCommand } from './commands/get.ts';
import { addJobCommands } from './commands/jobs.ts';
import { addRunCommands } from './commands/runs.ts';
import { addSessionCommands } from './commands/session.ts';
import { addSourceCommands } from './commands/sources.ts';
import { addDoctorCommand } from './doctor.ts';
import pkg from './package.json' with { type: 'json' };

/** `asJson` suppresses the usage errors of commander. The caller prints them as JSON. */
export function makeProgram(asJson: boolean): Command {
  const program = new Command('listbackup')
    .description('Backs up folders and buckets, and restores files from the backups.')
    .version(pkg.version)
    .enablePositionalOptions()
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ writeErr: (text) => asJson || process.stderr.write(text) })
    .showHelpAfterError('Run the command with --help to see its options.')
    .addHelpText(
      'after',
      `
Back up a folder, then get a file back:
  listbackup register
  listbackup sources add folder ~/Documents
  listbackup jobs add Documents
  listbackup run Documents --follow
  listbackup ls --recursive
  listbackup find invoice
  listbackup get letters/invoice.pdf

Each command explains its options with --help.
Exit code: 0 success, 1 failure, 2 partial run, 64 wrong usage, 130 interrupted.`,
    );

  addSessionCommands(program);
  addSourceCommands(program);
  addJobCommands(program);
  addRunCommands(program);
  addFileCommands(program);
  addGetCommand(program);
  addActivityCommand(program);
  addDoctorCommand(program);
  addGlobalOptions(program);
  return program;
}

/** Adds the global options to every command, so that they work before and after the name of the command. */
function addGlobalOptions(command: Command): void {
  const options = [
    new Option(
      '--url <url>',
      'server (default: LISTBACKUP_URL, else the server of the last login, else http://127.0.0.1:4000)',
    ),
    new Option('--json', 'print JSON. Errors are problem documents (RFC 9457) on standard error'),
  ];
  for (const option of options) command.addOption(option.helpGroup('Global options:'));
  for (const child of command.commands) addGlobalOptions(child);
}
