/** `sources`: connects folders and buckets. */
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import type { paths } from '../api-types.ts';
import { type Api, all, answered } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { allSources, argumentTexts, findSource, hints, quoted, type Source } from '../naming.ts';
import { type Column, json, jsonArray, line, note, printable, printList, time } from '../output.ts';
import { ask, askSecret, mustConfirm } from '../prompt.ts';
import { exitCodes, refusal } from '../refusal.ts';

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
    .summary('manage sources: list, add, show, change, remove')
    .description('A source is a folder or a bucket to back up. <source> is an id, a name, or the beginning of either.');

  sources
    .command('list', { isDefault: true })
    .summary('list sources')
    .description('Lists the sources of the account.')
    .action(async (_options, command: Command) => {
      const api = await signedIn(command);
      if (wantsJson(command)) return jsonArray(allSources(api));
      return printList(allSources(api), columns, `There is no source yet. ${hints.source}`);
    });

  const add = sources.command('add').summary('connect a source').description('Connects a source.');
  add
    .command('folder')
    .argument('<path>', 'path of the folder on the computer of the server')
    .summary('connect a folder on the computer of the server')
    .description('Connects a folder on the computer of the server. The first run checks the path.')
    .option('--name <name>', 'name of the source (default: name of the folder)')
    .option('--exclude <pattern...>', 'patterns to exclude, as in .gitignore')
    .action(async (path: string, options: { name?: string; exclude?: string[] }, command: Command) => {
      const absolute = resolve(path);
      const config = { path: absolute, ...(options.exclude ? { exclude: options.exclude } : {}) };
      await connect(command, { type: 'folder', name: options.name ?? (basename(absolute) || absolute), config });
    });
  add
    .command('s3')
    .argument('<bucket>', 'name of the bucket')
    .summary('connect a bucket on Amazon S3 or a compatible server')
    .description('Connects a bucket and stores the keys with which the server reads it.')
    .option('--prefix <prefix>', 'only objects whose key starts with this')
    .option('--region <region>', 'region of the bucket')
    .option('--endpoint <url>', 'address of the server, if it is not Amazon S3')
    .option('--name <name>', 'name of the source (default: name of the bucket)')
    .addHelpText('after', '\nIt reads the keys from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or prompts\nfor them.')
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
    .argument('<source>', argumentTexts.source)
    .summary('show a source')
    .description('Shows the name, type, status and settings of a source.')
    .action(async (called: string, _options, command: Command) => {
      const source = await findSource(await signedIn(command), called);
      return wantsJson(command) ? json(source) : show(source);
    });

  sources
    .command('change')
    .argument('<source>', argumentTexts.source)
    .summary('rename a source or replace its keys')
    .description('Changes the name of a source, or the keys of a bucket.')
    .option('--name <name>', 'the new name')
    .option('--new-keys', 'replace the keys (from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a prompt)')
    .action(async (called: string, options: { name?: string; newKeys?: boolean }, command: Command) => {
      if (options.name === undefined && !options.newKeys)
        throw refusal('usage', 'Nothing to change', 'Give --name or --new-keys.', exitCodes.usage);
      const api = await signedIn(command);
      const { id, name, type, config } = await findSource(api, called);
      if (options.newKeys && type === 'folder')
        throw refusal(
          'usage',
          'This source is a folder and has no keys',
          'Use --new-keys only for a bucket.',
          exitCodes.usage,
        );
      const credentials = options.newKeys ? { credentials: await keys() } : {};
      const body = { name: options.name ?? name, config, ...credentials };
      const changed = await answered(api.PUT('/sources/{id}', { params: { path: { id } }, body }));
      await awaitRead(api, id);
      return wantsJson(command) ? json(changed) : line(`Changed ${printable(changed.name)} (${id}).`);
    });

  sources
    .command('remove')
    .argument('<source>', argumentTexts.source)
    .summary('disconnect a source')
    .description('Disconnects a source and destroys its keys. Its jobs no longer run. Its backups stay available.')
    .option('--yes', 'do not ask for confirmation')
    .action(async (called: string, options: { yes?: boolean }, command: Command) => {
      const api = await signedIn(command);
      const { id, name } = await findSource(api, called);
      if (!options.yes) await mustConfirm(`Disconnect source ${printable(name)}?`);
      await answered(api.DELETE('/sources/{id}', { params: { path: { id } } }));
      await api.GET('/sources', { params: { query: { limit: 1 } } });
      return wantsJson(command)
        ? json({ id, removed: true })
        : line(`Disconnected ${printable(name)} (${id}). Its backups stay available.`);
    });
}

type Connection = paths['/sources']['post']['requestBody']['content']['application/json'];

async function connect(command: Command, body: Connection): Promise<void> {
  const api = await signedIn(command);
  const source = await answered(api.POST('/sources', { body }));
  await awaitRead(api, source.id);
  if (wantsJson(command)) return json(source);
  await line(`Connected ${printable(source.name)} (${source.id}).`);
  if (source.type === 'folder') note('The first run checks the path.');
  const isUnique = (await all(allSources(api))).filter(({ name }) => name === source.name).length === 1;
  if (!isUnique)
    note(
      `Another source is called ${printable(source.name)}. ` +
        `Rename this one with \`listbackup sources change ${source.id} --name <name>\`.`,
    );
  note(`Add a job for it with \`listbackup jobs add ${isUnique ? quoted(source.name) : source.id}\`.`);
}

/** Waits until reads see the change, so that the next command sees it too. */
async function awaitRead(api: Api, id: string): Promise<void> {
  await api.GET('/sources/{id}', { params: { path: { id } } });
}

async function keys(): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  const instead = 'Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.';
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY } = process.env;
  return {
    accessKeyId: AWS_ACCESS_KEY_ID || (await ask('Access key ID', instead)),
    secretAccessKey: AWS_SECRET_ACCESS_KEY || (await askSecret('Secret access key', instead)),
  };
}

async function show({ id, type, name, status, config, createdAt }: Source): Promise<void> {
  for (const [title, value] of Object.entries({ id, name, type, status, connected: time(createdAt), ...config })) {
    await line(`${title}\t${printable(typeof value === 'string' ? value : JSON.stringify(value))}`);
  }
}
