/** Finds sources and jobs by id, by name, or by the beginning of either if only one matches. */
import { type Api, all, answered, itemsOf } from './client.ts';
import { pathOf } from './path-text.ts';
import { type Refusal, refusal } from './refusal.ts';

type Named = { id: string; name: string };

/** What a user without sources or jobs does next. */
export const hints = {
  source: 'Connect a source with `listbackup sources add folder <path>`.',
  job: 'Add a job with `listbackup jobs add <source>`.',
};

/** Descriptions of arguments. */
export const argumentTexts = {
  source: 'a source: its id, its name, or the beginning of either',
  job: 'a job: its id, its name, or the beginning of either',
};

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

/** Returns the id of a run as it is. Throws a refusal for text that cannot be one. */
export function runIdOf(text: string): string {
  if (isId('run', text)) return text;
  throw refusal('not-found', `\`${text}\` is not the id of a run`, 'List runs with `listbackup runs`.');
}

/** `source` may be disconnected. Its backups stay available under its id. */
export type FileLocation = {
  source: Named;
  /** The source in a command: its name, or its id if several sources match the name. */
  called: string;
  /** Bytes that are not UTF-8 are lone surrogates. */
  path: string;
  /** The text before the first colon, if it names no source. The colon is then part of the path. */
  unknownSource?: string;
};

/**
 * Parses `source:path`, or a path alone if there is only one source. Names may contain colons: the longest beginning
 * that names a source wins. The path may have escapes (path-text.ts). Returns it without slashes at its ends.
 */
export async function findLocation(api: Api, where: string): Promise<FileLocation> {
  const sources = await all(allSources(api));
  for (let colon = where.lastIndexOf(':'); colon > 0; colon = where.lastIndexOf(':', colon - 1)) {
    const called = where.slice(0, colon);
    const found = isId('src', called) ? [{ id: called, name: called }] : bestMatches<Named>(called, sources);
    const [source] = found;
    if (found.length > 1) throw ambiguous('source', called, found);
    if (source) return { source, called: calledIn(sources, source), path: pathOf(trimmed(where.slice(colon + 1))) };
    if (colon === 0) break;
  }
  const [only, ...others] = sources;
  if (!only) throw refusal('no-source', 'There is no source yet', hints.source);
  const colon = where.indexOf(':');
  const unknownSource = colon > 0 ? where.slice(0, colon) : undefined;
  if (others.length === 0)
    return {
      source: only,
      called: only.name,
      path: pathOf(trimmed(where)),
      ...(unknownSource === undefined ? {} : { unknownSource }),
    };
  if (unknownSource !== undefined) {
    const next = `Write one of your sources before the colon. ${listed('Sources', sources)}`;
    throw refusal('not-found', `No source is called ${unknownSource}`, next);
  }
  const [named] = bestMatches(where, sources);
  const example = `${calledIn(sources, named ?? only)}:${named ? '' : trimmed(where)}`;
  const detail = `Write the source and a colon before the path, for example \`${quoted(example)}\`.`;
  throw refusal('which-source', 'The path needs a source', `${detail} ${listed('Sources', sources)}`);
}

function calledIn(sources: readonly Named[], { id, name }: Named): string {
  return bestMatches(name, sources).length === 1 ? name : id;
}

function theOne<T extends Named>(kind: 'source' | 'job', called: string, among: readonly T[]): T {
  const found = bestMatches(called, among);
  const [one, ...others] = found;
  if (one && others.length === 0) return one;
  if (one) throw ambiguous(kind, called, found);
  const next = among.length === 0 ? hints[kind] : listed(`Your ${kind}s`, among);
  throw refusal('not-found', `No ${kind} is called ${called}`, next);
}

/** Returns the best matches: by id, else by name, else by name ignoring case, else by the beginning of either. */
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
  return refusal('ambiguous', `${called} matches several ${kind}s`, `Use an id. ${listed('Matches', found)}`);
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

/** Quotes text so that a shell reads it as one word. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
