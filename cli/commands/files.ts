/** `ls`, `find` and `versions`: browse and search backed-up files. */
import type { Command } from 'commander';
import { type Api, atMost, itemsOf, type Schemas } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { type FileLocation, findLocation, findSource, quoted } from '../naming.ts';
import { type Column, jsonArray, note, noteMore, printList, table, time } from '../output.ts';
import { exactPath, pathText } from '../path-text.ts';
import { refusal } from '../refusal.ts';
import { sizeCell, wholeNumber } from './runs.ts';
import { byteCount, parseTime } from './when.ts';

export type File = Schemas['File'];

const columns: Column<File>[] = [
  { title: 'KIND', of: ({ kind }) => kind },
  { title: 'SIZE', of: ({ kind, size }) => (kind === 'folder' ? '-' : sizeCell(size)), right: true },
  { title: 'MODIFIED', of: ({ modifiedAt }) => time(modifiedAt) },
  { title: 'PATH', of: (file) => `${pathText(exactPath(file))}${file.kind === 'folder' ? '/' : ''}` },
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
beginning of either. Write a backslash in a name as \\\\, a control character as
\\u{a}, and a byte that is not UTF-8 as \\xe9, as \`listbackup ls\` prints them.`;

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
      if ((await table(items, columns)) > 0) return;
      note(`The folder is empty.${await incompleteNote(api, location, options.asOf)}`);
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
  asOf?: string;
  limit: number;
};

function addFind(program: Command): void {
  const collect = (text: string, previous: string[] = []) => [...previous, text];
  program
    .command('find')
    .argument('[words...]', 'words that must all occur in the path, ignoring case and accents')
    .summary('search backed-up files')
    .description('Searches the newest backup of every source, or an older one with --as-of.')
    .option('--source <source>', 'only this source: an id, a name, or the beginning of either')
    .option('--type <type>', 'only this type: pdf, image, image/png, folder … Can be repeated', collect)
    .option('--min-size <size>', 'only files of at least this size, for example 1500, 1.5MB or 1.5MiB', byteCount)
    .option('--max-size <size>', 'only files of at most this size', byteCount)
    .option('--modified-after <time>', 'only files modified at or after this time, for example 2026-01-31', parseTime)
    .option('--modified-before <time>', 'only files modified before this time', parseTime)
    .option('--as-of <time>', 'as backed up at this time', parseTime)
    .option('--limit <n>', 'maximum number of results', wholeNumber, 200)
    .addHelpText('after', '\nWithout words it lists everything that matches the options.')
    .action(async (words: string[], options: Find, command: Command) => {
      const api = await signedIn(command);
      const { source, type: types, limit, ...filters } = options;
      const inSource = source === undefined ? {} : { sourceId: (await findSource(api, source)).id };
      const body = { query: words.join(' '), ...inSource, types, ...filters };
      const list = (max: number) => itemsOf((query) => api.POST('/data/search', { params: { query }, body }), max);
      if (wantsJson(command)) return jsonArray(list(limit));
      const items = atMost(limit, list, () => noteMore(limit, 'files'));
      return printList(items, columns, 'No files match.');
    });
}

export function isFileId(text: string): boolean {
  return /^file_[\w-]{20,}$/.test(text);
}

type At = { recursive?: boolean | undefined; asOf?: string | undefined };

/** Yields the entries of a folder, or a single file. Throws a refusal if the path does not exist. */
async function* list(api: Api, location: FileLocation, options: At): AsyncGenerator<File> {
  let count = 0;
  for await (const file of entriesAt(api, location, options)) {
    count += 1;
    // Leave out the entry of the folder itself.
    if (!(file.kind === 'folder' && exactPath(file) === location.path)) yield file;
  }
  if (count === 0 && !(await isFolder(api, location, options.asOf))) throw await notFound(api, location, options.asOf);
}

/** Yields the entries of a folder, or a single file. Yields none for an empty folder and for a missing path. */
async function* entriesAt(
  api: Api,
  { source, path }: FileLocation,
  { recursive, asOf }: At,
  limit?: number,
): AsyncGenerator<File> {
  // Below other folders, list everything and choose.
  const listed = inUtf8(path);
  const filter = {
    sourceId: source.id,
    ...(listed && { path: listed }),
    ...((recursive || listed !== path) && { recursive: 'true' as const }),
    ...(asOf && { asOf }),
  };
  const files = itemsOf(
    (query) => api.GET('/data/files', { params: { query: { ...query, ...filter } } }),
    listed === path ? limit : undefined,
  );
  for await (const file of files) {
    const found = exactPath(file);
    const rest = found.slice(path.length + 1);
    const isBelow = found.startsWith(`${path}/`) && (recursive || !rest.includes('/'));
    if (listed === path || found === path || isBelow) yield file;
  }
}

async function notFound(api: Api, location: FileLocation, asOf: string | undefined): Promise<Error> {
  const { source, called, path, unknownSource } = location;
  const when = asOf === undefined ? '' : ` as of ${asOf}`;
  if (path === '') {
    const detail =
      asOf === undefined ? 'Back it up with `listbackup run <job> --follow`.' : 'List its runs with `listbackup runs`.';
    return refusal('not-found', `There is no backup of ${source.name}${when}`, detail);
  }
  if (unknownSource !== undefined)
    return refusal(
      'not-found',
      `No source is called ${unknownSource}, and ${source.name} has no path ${pathText(path)}${when}`,
      'List sources with `listbackup sources`.',
    );
  const folder = await folderAbove(api, location, asOf);
  return refusal(
    'not-found',
    `\`${pathText(path)}\` does not exist in ${source.name}${when}`,
    `List the folder above it with \`listbackup ls ${quoted(`${called}:${pathText(folder)}`)}\`.` +
      (await incompleteNote(api, location, asOf)),
  );
}

/** Returns the path of the nearest folder above the path that is in the backup. */
async function folderAbove(api: Api, location: FileLocation, asOf: string | undefined): Promise<string> {
  let path = parentOf(location.path);
  while (path !== '' && (await entryAt(api, { ...location, path }, asOf)) !== 'folder') path = parentOf(path);
  return path;
}

/** Returns the entry at a path: a file, a link or a folder. Throws a refusal if there is none. */
export async function fileAt(api: Api, location: FileLocation, asOf: string | undefined): Promise<File | 'folder'> {
  const found = await entryAt(api, location, asOf);
  if (found === undefined) throw await notFound(api, location, asOf);
  return found;
}

async function entryAt(
  api: Api,
  location: FileLocation,
  asOf: string | undefined,
): Promise<File | 'folder' | undefined> {
  for await (const file of entriesAt(api, location, { asOf }, 1))
    return exactPath(file) === location.path && file.kind !== 'folder' ? file : 'folder';
  return (await isFolder(api, location, asOf)) ? 'folder' : undefined;
}

/** The API lists an empty folder like a missing one. Only the listing of its parent folder shows the difference. */
async function isFolder(api: Api, location: FileLocation, asOf: string | undefined): Promise<boolean> {
  const { path } = location;
  if (path === '') return false;
  for await (const file of entriesAt(api, { ...location, path: parentOf(path) }, { asOf }))
    if (exactPath(file) === path) return file.kind === 'folder';
  return false;
}

/** Returns the path, or the nearest folder above it whose path is UTF-8. The API takes no other paths. */
export function inUtf8(path: string): string {
  return path.isWellFormed() ? path : inUtf8(parentOf(path));
}

export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/'))).replace(/\/+$/, '');
}

/** Errors of a run that are compared with a path. If the run has more, the path counts as one of them. */
const comparedErrors = 2_000;

/** Says that the backup may lack data at or below the path, because its run is partial. Else returns ''. */
export async function incompleteNote(
  api: Api,
  { source, path }: FileLocation,
  asOf: string | undefined,
): Promise<string> {
  const shown = path.toWellFormed();
  const isOver = (whole: string, part: string) => whole === '' || part === whole || part.startsWith(`${whole}/`);
  for await (const run of itemsOf((query) => api.GET('/runs', { params: { query } }))) {
    if (run.sourceId !== source.id || !['succeeded', 'partial'].includes(run.status)) continue;
    if (asOf !== undefined && (run.finishedAt ?? '') > asOf) continue;
    if (run.status === 'succeeded') return '';
    let compared = 0;
    const { id } = run;
    const errors = (query: object) => api.GET('/runs/{id}/errors', { params: { path: { id }, query } });
    for await (const error of itemsOf(errors, comparedErrors)) {
      compared += 1;
      if (isOver(error.path, shown) || isOver(shown, error.path) || compared === comparedErrors)
        return ` The run of this backup could not read everything here. See \`listbackup runs errors ${id}\`.`;
    }
    return '';
  }
  return '';
}

/** Returns the file at a path. Throws a refusal for a folder. */
async function requireFile(api: Api, location: FileLocation, asOf: string | undefined): Promise<File> {
  const file = await fileAt(api, location, asOf);
  if (file !== 'folder') return file;
  const { source, called, path } = location;
  const detail = `List its files with \`listbackup ls ${quoted(`${called}:${pathText(path)}`)}\`.`;
  throw refusal('is-folder', `${pathText(path) || source.name} is a folder`, detail);
}
