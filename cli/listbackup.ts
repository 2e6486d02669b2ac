/** `listbackup`: the command line. Except for `doctor` it uses only the API. */
import { Command, CommanderError, Option } from 'commander';
import { unreachable } from './client.ts';
import { addActivityCommand } from './commands/activity.ts';
import { addFileCommands } from './commands/files.ts';
import { addGetCommand } from './commands/get.ts';
import { addJobCommands } from './commands/jobs.ts';
import { addRunCommands } from './commands/runs.ts';
import { addSessionCommands } from './commands/session.ts';
import { addSourceCommands } from './commands/sources.ts';
import { addDoctorCommand } from './doctor.ts';
import { note, reportRefusal } from './output.ts';
import pkg from './package.json' with { type: 'json' };
import { exitCodes, Refusal, refusal } from './refusal.ts';

const asJson = process.argv.includes('--json');

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

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // A reader such as `head` closes the pipe when it needs no more.
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

try {
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}
if (process.listenerCount('SIGINT') > 0) await exitNow();

/**
 * Exits at once. Ctrl+C arrives twice, from the terminal and from the launcher. During a normal exit Node no longer
 * listens to signals, so the second one would end the process without its exit code.
 */
async function exitNow(): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) await new Promise((resolve) => stream.write('', resolve));
  process.exit();
}

function report(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (asJson)
      reportRefusal(refusal('usage', 'The command is not valid', error.message.replace(/^error: /, '')), true);
    return exitCodes.usage;
  }
  if (error instanceof Refusal) {
    reportRefusal(error, asJson);
    return error.exitCode;
  }
  const { code, path, message } = error as NodeJS.ErrnoException;
  // The messages of the file system are clear: EACCES: permission denied, open '…'
  if (typeof code === 'string' && typeof path === 'string') {
    reportRefusal(
      refusal('file-system', 'A file cannot be read or written', `${message}. Check the path and its permissions.`),
      asJson,
    );
  } else if (error instanceof TypeError && 'cause' in error && (error.cause as { code?: string })?.code !== undefined) {
    reportRefusal(unreachable('the address', error), asJson);
  } else {
    note(`Unexpected error. Report it with this text: ${error instanceof Error ? error.stack : String(error)}`);
  }
  return exitCodes.failed;
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
