/** What every kind of source can do: be listed in pages, be read, and say what went wrong. One file a kind implements it. */
import type * as z from 'zod';
import type { ListItem, SourceEntry } from '../domain/entry.ts';
import { type InputError, Problem } from '../domain/errors.ts';
import type { ByteRange } from '../domain/ports.ts';

/** What this home and this account allow. Folders are absolute paths; absent `folders`: the folder connector is not to be had here. */
export type ConnectorContext = {
  folders?: { roots: readonly string[] | 'any'; never: readonly string[] };
  /** `LISTBACKUP_ALLOW_HOSTS`: `host` or `host:port`, exempt from the ban on private addresses. */
  allowHosts: readonly string[];
};

export type Connector<Config, Credentials> = {
  type: 'folder' | 's3';
  /** Strict: an unknown field is an error. */
  config: z.ZodType<Config>;
  /** undefined: this kind has none. */
  credentials: z.ZodType<Credentials> | undefined;
  /**
   * Checks the settings (again) and gives a session; reaches no further than it must, so success does not mean that the source is there.
   * @throws Problem `invalid-input` (naming the field), `source-unusable` or `not-available`, saying what to do, never with credentials.
   */
  open(config: Config, credentials: Credentials, context: ConnectorContext): Promise<SourceSession>;
};

/** A connector whose types are known only to itself, as the registry holds it: `open` checks what it is given. */
export type AnyConnector = Connector<unknown, unknown>;

export type ListCursor = {
  /** What `since` of the last page of an earlier listing was: asks for what changed after it; null for everything. */
  since: string | null;
  /** `page` of the page before; null for the first. Any session of the same source takes it, also in another process. */
  page: string | null;
};

export type ListPage = {
  /** `full`: all there is. `delta`: only what changed after `since`. */
  mode: 'full' | 'delta';
  /** Keys strictly ascending by `compareKeys`, over all pages, also when the source changes between two of them. */
  items: ListItem[];
  /** null: this was the last page. A page that is not the last may hold fewer items than asked for. */
  page: string | null;
  /** On the last page, where the source can tell changes later: what to ask with next time. */
  since: string | null;
};

export type SourceSession = {
  /** Resolves when the source is there and can be listed with these settings. @throws SourceProblem */
  check(): Promise<void>;
  /** The next at most `limit` items. @throws SourceProblem when no listing can be had; what affects one item is an item. */
  changes(cursor: ListCursor, options: { limit: number }): Promise<ListPage>;
  /**
   * The content of a `file` entry (of the range, clipped at its end), pinned to `entry.revision`: the stream ends without error only
   * if every byte is of that revision. Stop early by returning from the loop. With `lend`, a slice is only good until the next one is asked for, so
   * that its memory can be used again. @throws SourceProblem, at once or while streaming.
   */
  read(entry: SourceEntry, range?: ByteRange, options?: { lend?: boolean }): Promise<AsyncIterable<Uint8Array>>;
  /**
   * The entry of exactly that key as a listing would give it now; undefined when a listing would not: it is gone, left out, or has
   * become something that is skipped. @throws SourceProblem when it cannot be told, or cannot be had
   */
  look(key: string): Promise<SourceEntry | undefined>;
  /**
   * What this session is reading from, for kinds where something else may come to be at the same address: the same for all sessions of the
   * same thing, also after a restart, and another for another. @throws SourceProblem
   */
  identity?(): Promise<string>;
  /** A stable name of what is backed up, for people; never a secret. */
  describe(): { identity: string };
  /** Lets go of everything held; streams still open fail. */
  close(): Promise<void>;
};

/**
 * `not-found`: the source itself is not there. `forbidden`: we may not. `unreachable`: no (sensible) answer. `throttled`: asked to wait.
 * `vanished` `changed` `unreadable` `archived`: about one entry. `unusable`: the source cannot be backed up as it behaves.
 */
export type SourceProblemCode =
  | 'not-found'
  | 'forbidden'
  | 'unreachable'
  | 'throttled'
  | 'vanished'
  | 'changed'
  | 'unreadable'
  | 'archived'
  | 'unusable';

/** What a source did not let us do. The message is for the user: what to do next, no credentials, no names of files. */
export class SourceProblem extends Error {
  readonly code: SourceProblemCode;
  /** Whether the same call may succeed later without anyone changing the settings. */
  readonly retryable: boolean;
  /** How long the source asked to be left alone. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: SourceProblemCode,
    message: string,
    options: { retryable?: boolean; retryAfterSeconds?: number } = {},
  ) {
    super(message);
    this.name = 'SourceProblem';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** The value as the schema has it. @throws Problem `invalid-input` that names each wrong field below `name`, never its value. */
export function parseSettings<T>(schema: z.ZodType<T>, value: unknown, name: 'config' | 'credentials'): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const errors: InputError[] = parsed.error.issues.flatMap((issue) => {
    const path = [name, ...issue.path].join('.');
    if (issue.code !== 'unrecognized_keys') return [{ path, message: issue.message }];
    return issue.keys.map((key) => ({ path: `${path}.${key}`, message: 'There is no such field.' }));
  });
  throw invalidSettings(errors);
}

/** The `invalid-input` Problem for those fields. */
export function invalidSettings(errors: InputError[]): Problem {
  return new Problem('invalid-input', `Correct ${errors.map((error) => error.path).join(', ')}.`, { errors });
}

/** The page token of a listing that goes on after that key. */
export function pageAfter(key: string): string {
  return Buffer.from(JSON.stringify({ after: key })).toString('base64url');
}

/** The key that the page token goes on after. @throws Error when it is none of ours. */
export function afterOf(page: string): string {
  const token: unknown = JSON.parse(Buffer.from(page, 'base64url').toString('utf8'));
  if (typeof token === 'object' && token !== null && 'after' in token && typeof token.after === 'string')
    return token.after;
  throw new Error('not a page token of this connector');
}
