/** Sources and jobs as people call them: by id, by name, or by the beginning of either as long as it fits only one. */
import { type Api, all, answered, itemsOf } from './client.ts';
import { type Refusal, refusal } from './refusal.ts';

type Named = { id: string; name: string };
export type Source = Awaited<ReturnType<typeof findSource>>;
export type Job = Awaited<ReturnType<typeof findJob>>;

export function allSources(api: Api) {
  return itemsOf((query) => api.GET('/sources', { params: { query } }));
}

export function allJobs(api: Api) {
  return itemsOf((query) => api.GET('/jobs', { params: { query } }));
}

export async function findSource(api: Api, called: string) {
  if (isId('src', called)) return answered(api.GET('/sources/{id}', { params: { path: { id: called } } }));
  return theOne('source', called, await all(allSources(api)));
}

export async function findJob(api: Api, called: string) {
  if (isId('job', called)) return answered(api.GET('/jobs/{id}', { params: { path: { id: called } } }));
  return theOne('job', called, await all(allJobs(api)));
}

/** A source may be disconnected: its backups are still there, under its id. */
export type FileLocation = { source: Named; path: string };

/**
 * `source:path`, or only a path while there is one source. A name may have colons in it: the longest beginning that names a source wins.
 * The path comes back as the API has it, without slashes at its ends.
 */
export async function findLocation(api: Api, where: string): Promise<FileLocation> {
  const sources = await all(allSources(api));
  for (let colon = where.lastIndexOf(':'); colon > 0; colon = where.lastIndexOf(':', colon - 1)) {
    const called = where.slice(0, colon);
    const found = isId('src', called) ? [{ id: called, name: called }] : bestMatches<Named>(called, sources);
    const [source] = found;
    if (found.length > 1) throw ambiguous('source', called, found);
    if (source) return { source, path: trimmed(where.slice(colon + 1)) };
    if (colon === 0) break;
  }
  const [only, ...others] = sources;
  if (!only)
    throw refusal('no-source', 'There is no source yet', 'Connect one first: `listbackup sources add --help`.');
  if (others.length === 0) return { source: only, path: trimmed(where) };
  const [named] = bestMatches(where, sources);
  const example = `${named?.name ?? only.name}:${named ? '' : trimmed(where)}`;
  const detail = `Put the source and a colon before the path, as in \`${quoted(example)}\`.`;
  throw refusal('which-source', 'Which source?', `${detail} ${listed('Sources', sources)}`);
}

function theOne<T extends Named>(kind: 'source' | 'job', called: string, among: readonly T[]): T {
  const found = bestMatches(called, among);
  const [one, ...others] = found;
  if (one && others.length === 0) return one;
  if (one) throw ambiguous(kind, called, found);
  const yours = among.length === 0 ? `Add one: \`listbackup ${kind}s add --help\`.` : `${listed('Yours', among)}`;
  throw refusal('not-found', `No ${kind} is called ${called}`, yours);
}

/** Those that fit best: by id or whole name, else by name whatever its case, else by how either begins. */
function bestMatches<T extends Named>(called: string, among: readonly T[]): T[] {
  const lower = called.toLowerCase();
  const fits: ((named: Named) => boolean)[] = [
    ({ id }) => id === called,
    ({ name }) => name === called,
    ({ name }) => name.toLowerCase() === lower,
    ({ id, name }) =>
      called !== '' && (name.toLowerCase().startsWith(lower) || (called.length > 4 && id.startsWith(called))),
  ];
  for (const fit of fits) {
    const found = among.filter(fit);
    if (found.length > 0) return found;
  }
  return [];
}

function ambiguous(kind: string, called: string, found: readonly Named[]): Refusal {
  return refusal(
    'ambiguous',
    `Several ${kind}s fit ${called}`,
    `Use the id of the one you mean. ${listed('They are', found)}`,
  );
}

function listed(title: string, among: readonly Named[]): string {
  const shown = among.slice(0, 10).map(({ id, name }) => `${name} (${id})`);
  return `${title}: ${shown.join(', ')}${among.length > 10 ? `, and ${among.length - 10} more` : ''}.`;
}

function isId(prefix: string, text: string): boolean {
  return new RegExp(`^${prefix}_[0-9a-z]{20,}$`).test(text);
}

function trimmed(path: string): string {
  return path
    .replace(/^(\.?\/)+/, '')
    .replace(/\/+$/, '')
    .replace(/^\.$/, '');
}

/** As a shell takes it for one word. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
