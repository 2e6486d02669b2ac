/** Sources: what is backed up. */
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import type { paths } from '../api-types.ts';
import { type Api, answered } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { allSources, findSource, quoted, type Source } from '../naming.ts';
import { type Column, json, jsonArray, line, note, printable, table, time } from '../output.ts';
import { ask, askSecret, mustConfirm } from '../prompt.ts';

const columns: Column<Source>[] = [
  { title: 'ID', of: ({ id }) => id },
  { title: 'NAME', of: ({ name }) => name },
  { title: 'TYPE', of: ({ type }) => type },
  { title: 'STATUS', of: ({ status }) => status },
  { title: 'CONNECTED', of: ({ createdAt }) => time(createdAt) },
];

export function addSourceCommands(program: Command): void {
  const sources = program
    .command('sources')
    .summary('what is backed up: list, add, show, change, remove')
    .description('Sources are what is backed up: a folder, a bucket. <source> is an id, a name, or how a name begins.');

  sources
    .command('list', { isDefault: true })
    .summary('list them')
    .action(async (_options, command: Command) => {
      const api = await signedIn(command);
      if (wantsJson(command)) return jsonArray(allSources(api));
      if ((await table(allSources(api), columns)) === 0)
        note('There is no source yet. Connect one: `listbackup sources add --help`.');
    });

  const add = sources.command('add').summary('connect one').description('Connects a source.');
  add
    .command('folder')
    .argument('<path>', 'the folder, on the machine that the server runs on')
    .summary('a folder of the machine that the server runs on')
    .option('--name <name>', 'what to call it (default: the name of the folder)')
    .option('--exclude <pattern...>', 'what to leave out, as in .gitignore')
    .action(async (path: string, options: { name?: string; exclude?: string[] }, command: Command) => {
      const whole = resolve(path);
      const config = { path: whole, ...(options.exclude ? { exclude: options.exclude } : {}) };
      await connect(command, { type: 'folder', name: options.name ?? (basename(whole) || whole), config });
    });
  add
    .command('s3')
    .argument('<bucket>', 'the name of the bucket')
    .summary('a bucket on S3 or on a server that speaks it')
    .option('--prefix <prefix>', 'only what begins so')
    .option('--region <region>', 'where it is')
    .option('--endpoint <url>', 'the server, when it is not Amazon')
    .option('--name <name>', 'what to call it (default: the bucket)')
    .addHelpText('after', '\nKeys are read from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or asked for.')
    .action(
      async (
        bucket: string,
        options: { name?: string; prefix?: string; region?: string; endpoint?: string },
        command: Command,
      ) => {
        const { name = bucket, ...rest } = options;
        await connect(command, { type: 's3', name, config: { bucket, ...rest }, credentials: await keys() });
      },
    );

  sources
    .command('show')
    .argument('<source>')
    .summary('look at one')
    .action(async (called: string, _options, command: Command) => {
      const source = await findSource(await signedIn(command), called);
      return wantsJson(command) ? json(source) : show(source);
    });

  sources
    .command('change')
    .argument('<source>')
    .summary('rename one, or give it new keys')
    .option('--name <name>', 'what to call it from now on')
    .option('--new-keys', 'ask for new keys (or read them from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)')
    .action(async (called: string, options: { name?: string; newKeys?: boolean }, command: Command) => {
      const api = await signedIn(command);
      const { id, name, config } = await findSource(api, called);
      const credentials = options.newKeys ? { credentials: await keys() } : {};
      const body = { name: options.name ?? name, config, ...credentials };
      const changed = await answered(api.PUT('/sources/{id}', { params: { path: { id } }, body }));
      await seen(api, id);
      return wantsJson(command) ? json(changed) : line(`Changed ${printable(changed.name)} (${id}).`);
    });

  sources
    .command('remove')
    .argument('<source>')
    .summary('disconnect one')
    .description('Disconnects a source: its keys are destroyed and its jobs run no more. What was backed up stays.')
    .option('--yes', 'do not ask')
    .action(async (called: string, options: { yes?: boolean }, command: Command) => {
      const api = await signedIn(command);
      const { id, name } = await findSource(api, called);
      if (!options.yes) await mustConfirm(`Disconnect ${printable(name)}`, 'Agree with --yes.');
      await answered(api.DELETE('/sources/{id}', { params: { path: { id } } }));
      await api.GET('/sources', { params: { query: { limit: 1 } } });
      return wantsJson(command) ? json({ id, removed: true }) : line(`Disconnected ${printable(name)} (${id}).`);
    });
}

type Connection = paths['/sources']['post']['requestBody']['content']['application/json'];

async function connect(command: Command, body: Connection): Promise<void> {
  const api = await signedIn(command);
  const source = await answered(api.POST('/sources', { body }));
  await seen(api, source.id);
  if (wantsJson(command)) return json(source);
  await line(`Connected ${printable(source.name)} (${source.id}).`);
  note(`Back it up with a job: \`listbackup jobs add ${quoted(source.name)}\`.`);
}

/** The command ends when the next one will see what it did: the read carries the token of the write. */
async function seen(api: Api, id: string): Promise<void> {
  await api.GET('/sources/{id}', { params: { path: { id } } });
}

async function keys(): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  const instead = 'Give the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.';
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = process.env;
  return {
    accessKeyId: AWS_ACCESS_KEY_ID || (await ask('Access key id', instead)),
    secretAccessKey: AWS_SECRET_ACCESS_KEY || (await askSecret('Secret access key', instead)),
  };
}

async function show({ id, type, name, status, config, createdAt }: Source): Promise<void> {
  for (const [title, value] of Object.entries({ id, name, type, status, connected: time(createdAt), ...config })) {
    await line(`${title}\t${printable(typeof value === 'string' ? value : JSON.stringify(value))}`);
  }
}
