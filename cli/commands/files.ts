/** `ls`, `find` and `versions`: browse and search backed-up files. */
import type { Command } from 'commander';
import { type Api, atMost, itemsOf, type Schemas } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { type FileLocation, findLocation, findSource, quoted } from '../naming.ts';
import { type Column, jsonArray, noteMore, printList, table, time } from '../output.ts';
import { refusal } from '../refusal.ts';
import { sizeCell, wholeNumber } from './runs.ts';
import { byteCount, parseTime } from './when.ts';

export type File = Schemas['File'];

const columns: Column<File>[] = [
  { title: 'KIND', of: ({ kind }) => kind },
  { title: 'SIZE', of: ({ kind, size }) => (kind === 'folder' ? '-' : sizeCell(size)), right: true },
  { title: 'MODIFIED', of: ({ modifiedAt }) => time(modifiedAt) },
  { title: 'PATH', of: ({ kind, path }) => (kind === 'folder' ? `${path}/` : path) },
];

const versionColumns: Column<Schemas['FileVersion']>[] = [
  { title: 'VERSION', of: ({ version }) => String(version), right: true },
  { title: 'AT', of: ({ at }) => time(at) },
  { title: 'SIZE', of: ({ deleted, size }) => (deleted ? '-' : sizeCell(size)), right: true },
  { title: 'SHA-256', of: ({ deleted, sha256 }) => (deleted ? 'deleted' : (sha256 ?? '-')) },
  { title: 'RUN', of: ({ runId }) => runId },
];

export const locationHelp = `
<path> is a path in the backup. With several sources, write the source and a
colon first: Documents:letters/invoice.pdf. A source is an id, a name, or the
beginning of either.`;

export function addFileCommands(program: Command): void {
  program
    .command('ls')
    .argument('[path]', 'folder or file in the backup (default: everything)')
    .summary('list backed-up files')
    .description('Lists the newest backup, or an older one with --as-of.')
    .option('-r, --recursive', 'include all subfolders')
    .option('--as-of <time>', 'as backed up at this time, for example 2026-01-31 or 2026-01-31T12:00:00Z', parseTime)
    .addHelpText('after', locationHelp)
    .action(async (where = '', options: { recursive?: boolean; asOf?: string }, command: Command) => {
      const api = await signedIn(command);
      const location = await findLocation(api, where);
      const items = list(api, location, options);
      if (wantsJson(command)) return jsonArray(items);
      return printList(items, columns, 'The folder is empty.');
    });

  addFind(program);

  program
    .command('versions')
    .argument('<path>', 'file in the backup, or its id')
    .summary('list the versions of a file')
    .description('Lists the versions of a file, newest first. Get one with `listbackup get <path> --version <n>`.')
    .option('--as-of <time>', 'for a deleted file: a time at which it existed', parseTime)
    .addHelpText('after', locationHelp)
    .action(async (where: string, { asOf }: { asOf?: string }, command: Command) => {
      const api = await signedIn(command);
      const id = isFileId(where) ? where : (await requireFile(api, await findLocation(api, where), asOf)).id;
      const items = itemsOf((query) => api.GET('/data/files/{id}/versions', { params: { path: { id }, query } }));
      return wantsJson(command) ? jsonArray(items) : void (await table(items, versionColumns));
    });
}

type Find = {
  source?: string;
  type?: string[];
  minSize?: number;
  maxSize?: number;
  modifiedAfter?: string;
  modifiedBefore?: string;
  limit: number;
};

function addFind(program: Command): void {
  const collect = (text: string, previous: string[] = []) => [...previous, text];
  program
    .command('find')
    .argument('[words...]', 'words that must all occur in the path, ignoring case and accents')
    .summary('search backed-up files')
    .description('Searches the newest backup of every source.')
    .option('--source <source>', 'only this source: an id, a name, or the beginning of either')
    .option('--type <type>', 'only this type: pdf, image, image/png, folder … Can be repeated', collect)
    .option('--min-size <size>', 'only files of at least this size, for example 1500, 1.5MB or 1.5MiB', byteCount)
    .option('--max-size <size>', 'only files of at most this size', byteCount)
    .option('--modified-after <time>', 'only files modified at or after this time, for example 2026-01-31', parseTime)
    .option('--modified-before <time>', 'only files modified before this time', parseTime)
    .option('--limit <n>', 'maximum number of results', wholeNumber, 200)
    .addHelpText('after', '\nWithout words it lists everything that matches the options.')
    .action(async (words: string[], options: Find, command: Command) => {
      const api = await signedIn(command);
      const { source, type: types, limit, ...filters } = options;
      const inSource = source === undefined ? {} : { sourceId: (await findSource(api, source)).id };
      const { minSize, maxSize, modifiedAfter, modifiedBefore } = filters;
      const body = { query: words.join(' '), ...inSource, types, minSize, maxSize, modifiedAfter, modifiedBefore };
      const list = (max: number) => itemsOf((query) => api.POST('/data/search', { params: { query }, body }), max);
      if (wantsJson(command)) return jsonArray(list(limit));
      const items = atMost(limit, list, () => noteMore(limit, 'files'));
      return printList(items, columns, 'No files match.');
    });
}

export function isFileId(text: string): boolean {
  return /^file_[\w-]{20,}$/.test(text);
}

/** Yields the entries of a folder, or a single file. Throws a refusal if the path does not exist. */
async function* list(
  api: Api,
  location: FileLocation,
  options: { recursive?: boolean; asOf?: string },
): AsyncGenerator<File> {
  const { source, path } = location;
  const { recursive, asOf } = options;
  const filter = {
    sourceId: source.id,
    ...(path && { path }),
    ...(recursive && { recursive: 'true' as const }),
    ...(asOf && { asOf }),
  };
  let count = 0;
  for await (const file of itemsOf((query) => api.GET('/data/files', { params: { query: { ...query, ...filter } } }))) {
    count += 1;
    // Leave out the entry of the folder itself.
    if (!(file.kind === 'folder' && file.path === path)) yield file;
  }
  if (count === 0 && !(await isFolder(api, location, asOf))) throw notFound(location, asOf);
}

function notFound({ source, path, unknownSource }: FileLocation, asOf: string | undefined): Error {
  const when = asOf === undefined ? '' : ` as of ${asOf}`;
  if (path === '') {
    const detail =
      asOf === undefined ? 'Back it up with `listbackup run <job> --follow`.' : 'List its runs with `listbackup runs`.';
    return refusal('not-found', `There is no backup of ${source.name}${when}`, detail);
  }
  if (unknownSource !== undefined)
    return refusal(
      'not-found',
      `No source is called ${unknownSource}, and ${source.name} has no path ${path}${when}`,
      'List sources with `listbackup sources`.',
    );
  return refusal(
    'not-found',
    `\`${path}\` does not exist in ${source.name}${when}`,
    `List the folder above it with \`listbackup ls ${quoted(`${source.name}:${parentOf(path)}`)}\`.`,
  );
}

/** Returns the entry at a path: a file, a link or a folder. Throws a refusal if there is none. */
export async function fileAt(api: Api, location: FileLocation, asOf: string | undefined): Promise<File | 'folder'> {
  const { source, path } = location;
  const filter = { sourceId: source.id, ...(path && { path }), ...(asOf && { asOf }) };
  for await (const file of itemsOf(
    (query) => api.GET('/data/files', { params: { query: { ...query, ...filter } } }),
    1,
  )) {
    return file.path === path && file.kind !== 'folder' ? file : 'folder';
  }
  if (await isFolder(api, location, asOf)) return 'folder';
  throw notFound(location, asOf);
}

/** The API lists an empty folder like a missing one. Only the listing of its parent folder shows the difference. */
async function isFolder(api: Api, { source, path }: FileLocation, asOf: string | undefined): Promise<boolean> {
  if (path === '') return false;
  const filter = { sourceId: source.id, path: parentOf(path), ...(asOf && { asOf }) };
  for await (const file of itemsOf((query) => api.GET('/data/files', { params: { query: { ...query, ...filter } } }))) {
    if (file.path === path) return file.kind === 'folder';
  }
  return false;
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** Returns the file at a path. Throws a refusal for a folder. */
async function requireFile(api: Api, location: FileLocation, asOf: string | undefined): Promise<File> {
  const file = await fileAt(api, location, asOf);
  if (file !== 'folder') return file;
  const detail = `List its files with \`listbackup ls ${quoted(`${location.source.name}:${location.path}`)}\`.`;
  throw refusal('is-folder', `${location.path || location.source.name} is a folder`, detail);
}
