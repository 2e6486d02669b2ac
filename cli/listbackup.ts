/** `listbackup`: the command line. Except for `doctor` it uses only the API. */
import { CommanderError } from 'commander';
import { unreachable } from './client.ts';
import { note, reportRefusal } from './output.ts';
import { makeProgram } from './program.ts';
import { exitCodes, Refusal, refusal } from './refusal.ts';

const asJson = process.argv.includes('--json');

for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    // A reader such as `head` closes the pipe when it needs no more.
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });

try {
  await makeProgram(asJson).parseAsync();
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
