/** The interface of a connector: list a source in pages, read its files in frames, report problems. */
import type * as z from 'zod';
import type { EntryPosition, ListItem, SourceEntry } from '../domain/entry.ts';
import { type InputError, Problem } from '../domain/errors.ts';
import type { ByteRange } from '../domain/ports.ts';
import { inputErrorsOf, quoted } from './input-errors.ts';

/** The limits that the deployment and the account set. */
export type ConnectorContext = {
  /** Absolute paths. If absent, the deployment has no folder connector. Connectors never enter `never`. */
  folders?: { roots: readonly string[] | 'any'; never: readonly string[] };
  /** From `LISTBACKUP_ALLOW_HOSTS`. Each is `host` or `host:port`, and may have a private address. */
  allowHosts: readonly string[];
  /** Called with true before synchronous calls to the source, which may block the thread, and with false after them. */
  blocking?(isBlocking: boolean): void;
};

export type Connector<Config, Credentials> = {
  type: 'folder' | 's3';
  /**
   * The order of listings. `entries`: by `comparePositions`, with an item for each folder. `any`: the planner sorts the
   * items, and adds folders that the source does not list. The doctor compares these only if they come by key.
   */
  order: 'entries' | 'any';
  /** A strict schema: an unknown field is an error. */
  config: z.ZodType<Config>;
  /** Undefined if this type has no credentials. */
  credentials: z.ZodType<Credentials> | undefined;
  /**
   * Validates the settings and returns a session. It may not contact the source: `check` does. Errors name the wrong
   * field and never hold credentials.
   * @throws Problem `invalid-input`, `source-unusable` or `not-available`
   */
  open(config: Config, credentials: Credentials, context: ConnectorContext): Promise<SourceSession>;
};

/** A connector in the registry, without its types. `open` validates its arguments. */
export type AnyConnector = Connector<unknown, unknown>;

export type ListPage<Item = ListItem> = {
  /** In the order that the connector declares, over all pages, even if the source changes between two pages. */
  items: Item[];
  /** Token of the next page, null on the last. Any page may hold fewer items than `limit`. */
  page: string | null;
  /**
   * On the last page, if the source lists deltas: the cursor for the next listing, which covers all changes since
   * this listing began. Else null.
   */
  since: string | null;
};

/**
 * A change. Each item has an id, and the id of its folder: null for the root. Its key is its name alone, with a `/` for
 * folders. Entries below a folder that moved or is gone need no items.
 */
export type DeltaItem =
  | (Exclude<ListItem, { type: 'unlisted' }> & { parent: string | null })
  | { type: 'gone'; id: string };

/**
 * `signal` ends the call with the reason of the signal: at once while it waits for the source, otherwise at the next
 * frame or file. The session stays usable.
 */
export type CallOptions = { signal?: AbortSignal | undefined };

/** Lists changes, in pages like a listing. */
export type Deltas = {
  /** The changes after `since`, in any order. The last item of an id counts. @throws SourceProblem as `list` */
  list(since: string, page: string | null, options: { limit: number } & CallOptions): Promise<ListPage<DeltaItem>>;
  /** The entries of the folder with that id, without deeper entries. @throws SourceProblem */
  listFolder(
    id: string,
    page: string | null,
    options: { limit: number } & CallOptions,
  ): Promise<Pick<ListPage<DeltaItem>, 'items' | 'page'>>;
};

/** A file to read, or a range of it, clipped at the end of the file. */
export type ReadRequest = { entry: SourceEntry; range?: ByteRange };

/**
 * Pieces of files, at most about 1 MiB or 256 files. `index` is the index of the request. The pieces of a file come in
 * order, between pieces of other files. The last piece has `end`. A problem also ends a file.
 */
export type Frame = ({ index: number; bytes: Uint8Array; end?: boolean } | { index: number; problem: SourceProblem })[];

/** Each call has a total deadline of minutes, also if the source sends a byte now and then. */
export type SourceSession = {
  /** Resolves if the source exists and can be listed. @throws SourceProblem */
  check(options?: CallOptions): Promise<void>;
  /**
   * A page of everything, with at most `limit` items. `page` is the token from the page before, null for the first. It
   * is valid in any session of the source, also in another process. An error of one entry is an item of the page. In
   * the order `entries` the pages list no item without its folders, even if a folder appears between two pages.
   * @throws SourceProblem if the listing fails, `reset` if a token or cursor has expired
   */
  list(page: string | null, options: { limit: number } & CallOptions): Promise<ListPage>;
  /** If the source lists deltas. Then each entry and each refusal has an id. */
  deltas?: Deltas;
  /**
   * The contents of `file` entries, in any order. Each is pinned to its `revision`: it ends without a problem only if
   * every byte is of that revision. A frame is valid until the next one is requested. To stop early, return from the
   * loop. Readings of one session must not overlap. The content of a file has no total deadline, but a minimum rate.
   * @throws SourceProblem if the whole source fails
   */
  read(requests: ReadRequest[], options?: CallOptions): AsyncGenerator<Frame, void>;
  /**
   * The entry with exactly that key, as a listing would return it now. With an id: the entry of that id wherever it is,
   * under the given key. Undefined if a listing would not return an entry: it was deleted, is excluded, or would be
   * skipped.
   * @throws SourceProblem if the source does not say, or the entry cannot be read
   */
  look(at: { key: string; id?: string | undefined }, options?: CallOptions): Promise<SourceEntry | undefined>;
  /**
   * The source identity. For types where another source may appear at the same address, for example another folder at
   * the same path. Equal for all sessions of one source, also after a restart, and different for different sources.
   * @throws SourceProblem
   */
  identity?(options?: CallOptions): Promise<string>;
  /** Releases all resources. A reading fails at its next frame. A request that waits for the source ends at once. */
  close(): Promise<void>;
};

/** The content of one file, or of a range of it. @throws SourceProblem, also instead of ending */
export async function* contentOf(
  session: Pick<SourceSession, 'read'>,
  entry: SourceEntry,
  range?: ByteRange,
): AsyncGenerator<Uint8Array, void> {
  for await (const frame of session.read([{ entry, ...(range && { range }) }])) {
    for (const part of frame) {
      if ('problem' in part) throw part.problem;
      yield part.bytes;
    }
  }
}

export type SourceProblemCode =
  /** The source does not exist. */
  | 'not-found'
  /** The source refuses access. */
  | 'forbidden'
  /** The source does not answer, or answers with errors. */
  | 'unreachable'
  /** The source asks for fewer requests. */
  | 'throttled'
  /** The source behaves in a way that rules out a correct backup. */
  | 'unusable'
  /** The source must be listed anew. */
  | 'reset'
  // The following concern one entry.
  | 'vanished'
  | 'changed'
  | 'unreadable'
  | 'archived';

/** An error of the source. The message tells the user what to do. It has no credentials and no file names. */
export class SourceProblem extends Error {
  readonly code: SourceProblemCode;
  /** Whether the same call may succeed later with the same settings. */
  readonly retryable: boolean;
  /** The pause that the source asked for. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: SourceProblemCode,
    message: string,
    options: { retryable?: boolean; retryAfterSeconds?: number | undefined } = {},
  ) {
    super(message);
    this.name = 'SourceProblem';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}

/** A problem that may have passed when the same call is made again. */
export function temporary(code: SourceProblemCode, message: string, retryAfterSeconds?: number): SourceProblem {
  return new SourceProblem(code, message, { retryable: true, retryAfterSeconds });
}

/** A problem of the whole source. The batch is tried again later, and its files do not fail. */
export function concernsSource(error: SourceProblem): boolean {
  return error.code === 'unreachable' || error.code === 'throttled' || error.code === 'not-found';
}

/**
 * Validates the value. Errors name each wrong field with the prefix `name`, and never hold its value.
 * @throws Problem `invalid-input`
 */
export function parseSettings<T>(schema: z.ZodType<T>, value: unknown, name: 'config' | 'credentials'): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw invalidSettings(inputErrorsOf(parsed.error, [name]));
}

export function invalidSettings(errors: InputError[]): Problem {
  return new Problem('invalid-input', `Correct ${quoted(errors.map(({ path }) => path))} and send the request again.`, {
    errors,
  });
}

/** `pending`: what the connector checks before it continues. */
export type PagePosition = EntryPosition & { pending?: number };

/** The page token of a listing that continues after the position. */
export function pageAfter(position: PagePosition): string {
  return Buffer.from(JSON.stringify(position)).toString('base64url');
}

/** The position in a token of `pageAfter`. @throws Error for any other text */
export function positionAfter(page: string): PagePosition {
  const token: unknown = JSON.parse(Buffer.from(page, 'base64url').toString('utf8'));
  const { parent, key, pending } = (token ?? {}) as { [field in keyof PagePosition]?: unknown };
  if (typeof parent === 'string' && typeof key === 'string')
    return { parent, key, ...(typeof pending === 'number' && { pending }) };
  throw new Error('The page token is not of this connector.');
}
