/** `register`, `login`, `logout` and `whoami`. A password is never an argument, because other users could read it. */
import { type Command, Option } from 'commander';
import { answered, openApi, openPublicApi, signIn, signOut } from '../client.ts';
import { serverUrl, wantsJson } from '../context.ts';
import { json, line } from '../output.ts';
import { withProgramName } from '../program-name.ts';
import { ask, askSecret, firstLineOfInput } from '../prompt.ts';

type Credentials = { email?: string; passwordStdin?: boolean };

export function addSessionCommands(program: Command): void {
  withCredentials(program.command('register'))
    .summary('create an account and sign in')
    .description('Creates an account on the server and signs you in.')
    .addOption(new Option('--name <name>', 'your name (default: your e-mail address)'))
    .action(async (options: Credentials & { name?: string }, command: Command) => {
      const url = await serverUrl(command);
      const { email, password } = await credentials(options);
      const result = await answered(
        openPublicApi(url).POST('/auth/register', { body: { email, password, name: options.name ?? email } }),
      );
      if (!('user' in result)) {
        return wantsJson(command)
          ? json({ url, email, confirm: true })
          : line(withProgramName('Open the link in the confirmation e-mail, then run `listbackup login`.'));
      }
      await signIn(url, email, password);
      return wantsJson(command)
        ? json({ url, ...(result as object) })
        : line(`Created an account at ${url} and signed in as ${email}.`);
    });

  withCredentials(program.command('login'))
    .summary('sign in')
    .description('Signs in and keeps the session on this computer until `listbackup logout`.')
    .action(async (options: Credentials, command: Command) => {
      const url = await serverUrl(command);
      const { email, password } = await credentials(options);
      await signIn(url, email, password);
      return wantsJson(command) ? json({ url, email }) : line(`Signed in at ${url} as ${email}.`);
    });

  program
    .command('logout')
    .summary('sign out')
    .description('Ends the session on the server and deletes it from this computer.')
    .action(async (_options, command: Command) => {
      const url = await serverUrl(command);
      const ended = await signOut(url);
      return wantsJson(command)
        ? json({ url, ended })
        : line(ended ? `Signed out at ${url}.` : `You were not signed in at ${url}.`);
    });

  program
    .command('whoami')
    .summary('show the signed-in user and the server')
    .description('Prints the signed-in user, the account and the server.')
    .action(async (_options, command: Command) => {
      const api = openApi(await serverUrl(command));
      const me = await answered(api.GET('/me'));
      const { user, account } = me;
      return wantsJson(command)
        ? json({ url: api.url, ...me })
        : line(`${user.email}, ${account.role} of ${account.name}, at ${api.url}`);
    });
}

function withCredentials(command: Command): Command {
  return command
    .addOption(new Option('--email <email>', 'your e-mail address (default: a prompt)').env('LISTBACKUP_EMAIL'))
    .option('--password-stdin', 'read the password from standard input')
    .addHelpText(
      'after',
      '\nIt prompts for the password. In scripts, set LISTBACKUP_PASSWORD or use\n--password-stdin.',
    );
}

const passwordHint = 'Set the password with LISTBACKUP_PASSWORD or --password-stdin.';

async function credentials(options: Credentials): Promise<{ email: string; password: string }> {
  const email = options.email || (await ask('E-mail address', `Set --email or LISTBACKUP_EMAIL. ${passwordHint}`));
  const password = options.passwordStdin
    ? await firstLineOfInput()
    : process.env.LISTBACKUP_PASSWORD || (await askSecret('Password', passwordHint));
  return { email, password };
}
