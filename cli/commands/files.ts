/** What was backed up: browse it, find it, see how it changed. */
import type { Command } from 'commander';
import { type Api, atMost, itemsOf, type Schemas } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { type FileLocation, findLocation, findSource, quoted } from '../naming.ts';
import { type Column, jsonArray, note, noteMore, table, time } from '../output.ts';
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
<path> is a path in the backup. With several sources put one before it, and a colon: Documents:letters/invoice.pdf.
A source is an id, a name, or how a name begins.`;

export function addFileCommands(program: Command): void {
  program
    .command('ls')
    .argument('[path]', 'a folder in the backup, or a file (default: all there is)', '')
    .summary('browse what was backed up')
    .option('-r, --recursive', 'all that is below it')
    .option('--as-of <time>', 'as it was at this time, like 2026-01-31 or 2026-01-31T12:00:00Z', parseTime)
    .addHelpText('after', locationHelp)
    .action(async (where: string, options: { recursive?: boolean; asOf?: string }, command: Command) => {
      const api = await signedIn(command);
      const location = await findLocation(api, where);
      const items = list(api, location, options);
      if (wantsJson(command)) return jsonArray(items);
      if ((await table(items, columns)) === 0) note('The folder is empty.');
    });

  addFind(program);

  program
    .command('versions')
    .argument('<path>', 'a file in the backup, or the id of one')
    .summary('how a file changed over time')
    .description('The versions of a file, the newest first. Get one with `listbackup get <path> --version <n>`.')
    .option('--as-of <time>', 'for a file that is gone: when it was still there', parseTime)
    .addHelpText('after', locationHelp)
    .action(async (where: string, { asOf }: { asOf?: string }, command: Command) => {
      const api = await signedIn(command);
      const id = isFileId(where) ? where : (await theFileAt(api, await findLocation(api, where), asOf)).id;
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
  const each = (text: string, before: string[] = []) => [...before, text];
  program
    .command('find')
    .argument('[words...]', 'all of them occur in the path; neither case nor accents count')
    .summary('search what was backed up')
    .description('Searches the newest backup of every source.')
    .option('--source <source>', 'only in this one: an id, a name, or how a name begins')
    .option('--type <type>', 'only what is pdf, image, image/png, folder …; may be given several times', each)
    .option('--min-size <size>', 'only files of this size or more, like 1500, 1.5MB or 1.5MiB', byteCount)
    .option('--max-size <size>', 'only files of this size or less', byteCount)
    .option('--modified-after <time>', 'only what changed at this time or after, like 2026-01-31', parseTime)
    .option('--modified-before <time>', 'only what changed before this time', parseTime)
    .option('--limit <n>', 'how many at most', wholeNumber, 200)
    .addHelpText('after', '\nWithout words: whatever passes the filters.')
    .action(async (words: string[], options: Find, command: Command) => {
      const api = await signedIn(command);
      const { source, type: types, limit, ...filters } = options;
      const inSource = source === undefined ? {} : { sourceId: (await findSource(api, source)).id };
      const { minSize, maxSize, modifiedAfter, modifiedBefore } = filters;
      const body = { query: words.join(' '), ...inSource, types, minSize, maxSize, modifiedAfter, modifiedBefore };
      const list = (most: number) => itemsOf((query) => api.POST('/data/search', { params: { query }, body }), most);
      if (wantsJson(command)) return jsonArray(list(limit));
      if (
        (await table(
          atMost(limit, list, () => noteMore(limit)),
          columns,
        )) === 0
      )
        note('Nothing fits.');
    });
}

export function isFileId(text: string): boolean {
  return /^file_[\w-]{20,}$/.test(text);
}

/** What is in a folder, or the one file. Throws a refusal when there is nothing of that name. */
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
    // an entry for the folder itself is not in it
    if (!(file.kind === 'folder' && file.path === path)) yield file;
  }
  if (count === 0 && !(await isFolder(api, location, asOf))) throw nothingThere(location, asOf);
}

export function nothingThere({ source, path }: FileLocation, asOf: string | undefined): Error {
  const when = asOf === undefined ? '' : ` as of ${asOf}`;
  if (path === '') {
    const detail =
      asOf === undefined ? 'Run a job of it: `listbackup run <job> --follow`.' : 'See its runs: `listbackup runs`.';
    return refusal('not-found', `Nothing of ${source.name} is backed up${when}`, detail);
  }
  return refusal(
    'not-found',
    `There is no ${path} in ${source.name}${when}`,
    `See what there is: \`listbackup ls ${quoted(`${source.name}:${above(path)}`)}\`.`,
  );
}

/** The entry at a path: a file, a link or a folder. Throws a refusal when there is none. */
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
  throw nothingThere(location, asOf);
}

/** An empty folder lists like one that never was: only the folder above tells. */
async function isFolder(api: Api, { source, path }: FileLocation, asOf: string | undefined): Promise<boolean> {
  if (path === '') return false;
  const filter = { sourceId: source.id, path: above(path), ...(asOf && { asOf }) };
  for await (const file of itemsOf((query) => api.GET('/data/files', { params: { query: { ...query, ...filter } } }))) {
    if (file.path === path) return file.kind === 'folder';
  }
  return false;
}

function above(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** As `fileAt`, where a folder will not do. */
async function theFileAt(api: Api, location: FileLocation, asOf: string | undefined): Promise<File> {
  const file = await fileAt(api, location, asOf);
  if (file !== 'folder') return file;
  const detail = `See what is in it: \`listbackup ls ${quoted(`${location.source.name}:${location.path}`)}\`.`;
  throw refusal('is-folder', `${location.path || location.source.name} is a folder`, detail);
}
