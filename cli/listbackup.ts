/** `listbackup`: the product from a terminal. It speaks to the API alone. */
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
  .description('Backs up the data you keep in other places, and gets it back.')
  .version(pkg.version)
  .enablePositionalOptions()
  .helpCommand(false)
  .exitOverride()
  .configureOutput({ writeErr: (text) => asJson || process.stderr.write(text) })
  .showHelpAfterError('Add --help to see how it is used.')
  .addHelpText(
    'after',
    `
Back up a folder, and get a file of it back:
  listbackup register
  listbackup sources add folder ~/Documents
  listbackup jobs add Documents
  listbackup run Documents --follow
  listbackup ls --recursive
  listbackup find invoice
  listbackup get letters/invoice.pdf

Each command tells more with --help. It ends with 0 when all went well, 64 when it was not understood, else 1 (2: a run that is partial).`,
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
  // `listbackup ls | head` has seen enough
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
 * Ctrl+C comes twice, from the terminal and from the launcher. While Node takes itself down it listens no more, and the second would kill it
 * before it has said how it ended.
 */
async function exitNow(): Promise<never> {
  for (const stream of [process.stdout, process.stderr]) await new Promise((resolve) => stream.write('', resolve));
  process.exit();
}

function report(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return 0;
    if (asJson)
      reportRefusal(refusal('usage', 'The command was not understood', error.message.replace(/^error: /, '')), true);
    return exitCodes.usage;
  }
  if (error instanceof Refusal) {
    reportRefusal(error, asJson);
    return error.exitCode;
  }
  const { code, path, message } = error as NodeJS.ErrnoException;
  // the file system's own words are good: EACCES: permission denied, open '…'
  if (typeof code === 'string' && typeof path === 'string') {
    reportRefusal(
      refusal('file-system', 'The file system refused', `${message}. Check the path and its rights.`),
      asJson,
    );
  } else if (error instanceof TypeError && 'cause' in error && (error.cause as { code?: string })?.code !== undefined) {
    reportRefusal(unreachable('the address', error), asJson);
  } else {
    note(`Something went wrong in this program: ${error instanceof Error ? error.stack : String(error)}`);
  }
  return exitCodes.failed;
}

/** So that they can be given before or after the command's name, and no command's own options are taken for the program's. */
function addGlobalOptions(command: Command): void {
  const options = [
    new Option(
      '--url <url>',
      'the server (default: LISTBACKUP_URL, else where you are signed in, else http://127.0.0.1:4000)',
    ),
    new Option('--json', 'print JSON, and errors as a problem document (RFC 9457) on standard error'),
  ];
  for (const option of options) command.addOption(option.helpGroup('Global options:'));
  for (const child of command.commands) addGlobalOptions(child);
}
