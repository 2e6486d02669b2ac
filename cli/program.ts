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
import { programName, withProgramName } from './program-name.ts';

/** `asJson` suppresses the usage errors of commander. The caller prints them as JSON. */
export function makeProgram(asJson: boolean): Command {
  const program = new Command(programName)
    .description('Backs up folders and buckets, and restores files from the backups.')
    .version(pkg.version)
    .enablePositionalOptions()
    .helpCommand(false)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => process.stdout.write(withProgramName(text)),
      writeErr: (text) => asJson || process.stderr.write(withProgramName(text)),
    })
    .showHelpAfterError('Run the command with --help to see its options.')
    .addHelpText(
      'after',
      `
Back up a folder, then get a file back:
  ${programName} register
  ${programName} sources add folder ~/Documents
  ${programName} jobs add Documents
  ${programName} run Documents --follow
  ${programName} ls --recursive
  ${programName} find invoice
  ${programName} get letters/invoice.pdf

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
  for (const group of program.commands) if (group.commands.length > 0) rejectUnknownCommands(group);
  return program;
}

/** Without this, the default command of the group gets an unknown word and calls it an argument too many. */
function rejectUnknownCommands(group: Command): void {
  group.hook('preSubcommand', () => {
    const [word = '-'] = group.args;
    if (word.startsWith('-') || group.commands.some((command) => command.name() === word)) return;
    const help = `Run \`listbackup ${group.name()} --help\` to see the commands.`;
    group.showHelpAfterError(false).error(`error: unknown command '${word}'. ${help}`);
  });
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
