/** A session with a bucket. Loaded, together with the AWS SDK, at the first `open` only. */
import { type _Object as Listed, ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import { compareKeys, type ListItem, positionOf, type SourceEntry } from '../domain/entry.ts';
import {
  type ConnectorContext,
  invalidSettings,
  type ListPage,
  pageAfter,
  positionAfter,
  type ReadRequest,
  SourceProblem,
  type SourceSession,
  temporary,
} from './connector.ts';
import { interleaved } from './interleaved.ts';
import { archivedMessage, type Connection, clientFor, outsideLimits, withRetries } from './s3-client.ts';
import { defaultLimits, durationOf, type S3Limits, TooSlow } from './s3-limits.ts';
import { readObject, revisionOf } from './s3-read.ts';
import type { S3Config, S3Credentials } from './s3-settings.ts';
import { checkAddress } from './safe-agent.ts';

/** Objects that one batch reads at once. It hides the latency of each request. */
const parallelReads = 16;
/** Bytes of a key on S3. Everything that grows with a key, such as its folders, relies on this limit. */
const maxKey = 1_024;
/** So many objects in a row that the server sends too slowly are a problem of the server. Each takes minutes. */
const maxSlowObjects = 3;

/** Throws Problem `invalid-input` for an endpoint that is not allowed. */
export function startSession(
  { bucket, endpoint, prefix = '', region = 'us-east-1' }: S3Config,
  access: S3Credentials,
  context: ConnectorContext,
  limits: S3Limits = defaultLimits,
): SourceSession {
  if (endpoint !== undefined) {
    const url = checkAddress(endpoint, context.allowHosts, 'config.endpoint');
    if (url.search !== '' || url.hash !== '') {
      throw invalidSettings([
        { path: 'config.endpoint', message: 'Give the URL without a query (?) or fragment (#).' },
      ]);
    }
  }
  const client = clientFor({ region, endpoint, credentials: access, allowHosts: context.allowHosts }, limits);
  const closing = new AbortController();
  let slowObjects = 0;

  function connectionUntil(signal: AbortSignal | undefined): Connection {
    return { client, limits, stop: signal ? AbortSignal.any([closing.signal, signal]) : closing.signal };
  }

  async function list(
    connection: Connection,
    start: string,
    after: string | null,
    limit: number,
  ): Promise<ListObjectsV2CommandOutput> {
    let token: string | undefined;
    const most = Math.min(limit, 1_000);
    const begun = performance.now();
    for (let empty = 1; ; empty++) {
      const command = new ListObjectsV2Command({
        Bucket: bucket,
        MaxKeys: most,
        // A key may have characters that XML does not allow.
        EncodingType: 'url',
        OptionalObjectAttributes: ['RestoreStatus'],
        ...(start === '' ? {} : { Prefix: start }),
        ...(after === null ? {} : { StartAfter: after }),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      });
      const answer = await withRetries(connection, 'bucket', (client, options) => client.send(command, options));
      // A 200 of another kind of server must not count as an empty bucket, or every file would count as deleted.
      if (answer.IsTruncated === undefined)
        throw new SourceProblem('unusable', 'The server at this endpoint is not an S3 server. Correct the `endpoint`.');
      if (answer.Contents && answer.Contents.length > most) throw outsideLimits();
      if (!answer.IsTruncated || answer.Contents?.length) return answer;
      const next = answer.NextContinuationToken;
      if (next === undefined) throw unordered();
      const waited = performance.now() - begun;
      if (next === token || empty >= limits.emptyPages || waited >= limits.emptyMs) throw withoutEnd(empty, waited);
      token = next;
    }
  }

  /** If the server still lists the bucket, only this object is unreadable. Then the run goes on with the others. */
  async function diagnose(connection: Connection, error: unknown): Promise<unknown> {
    if (!(error instanceof SourceProblem && error.code === 'unreachable' && error.retryable)) return error;
    try {
      await list(connection, prefix, null, 1);
    } catch (problem) {
      return problem;
    }
    // Another attempt would take minutes again, so it is left to the next run.
    if (error instanceof TooSlow)
      return new SourceProblem('unreadable', 'The server lists this object but sends it too slowly. Check it there.');
    const message = 'The server answers but does not return this object. Check there whether it is damaged.';
    return temporary('unreadable', message);
  }

  async function* content({ entry, range = { offset: 0, length: entry.size } }: ReadRequest, stop: AbortSignal) {
    if (entry.kind !== 'file') throw new SourceProblem('unreadable', 'This is not a file, so it has no content.');
    const connection = { client, limits, stop };
    try {
      yield* await readObject({ connection, bucket, key: prefix + entry.key, entry }, range);
      slowObjects = 0;
    } catch (error) {
      if (error instanceof TooSlow && ++slowObjects >= maxSlowObjects) throw error;
      throw await diagnose(connection, error);
    }
  }

  return {
    async check({ signal } = {}) {
      await list(connectionUntil(signal), prefix, null, 1);
    },

    /** A page token holds the last key, not the token of the server. So it stays valid after restarts and changes. */
    async list(token, { limit, signal }): Promise<ListPage> {
      const after = token === null ? null : positionAfter(token).key;
      const answer = await list(connectionUntil(signal), prefix, after === null ? null : prefix + after, limit);
      const items: ListItem[] = [];
      let last = after;
      for (const object of answer.Contents ?? []) {
        const key = keyOf(object, prefix, answer.EncodingType === 'url');
        if (last !== null && compareKeys(key, last) <= 0) throw unordered();
        last = key;
        const item = itemOf(object, key);
        if (item !== undefined) items.push(item);
      }
      return { items, page: answer.IsTruncated && last !== null ? pageAfter(positionOf(last)) : null, since: null };
    },

    read: (requests, { signal } = {}) => interleaved(requests, parallelReads, content, connectionUntil(signal).stop),

    /** Uses a listing: HeadObject returns times in whole seconds, which would change the revision. */
    async look({ key }, { signal } = {}) {
      const name = prefix + key;
      const answer = await list(connectionUntil(signal), name, null, 1);
      // Of all keys with this prefix, the key itself sorts first.
      const first = answer.Contents?.[0];
      if (first === undefined || keyOf(first, name, answer.EncodingType === 'url') !== '') return undefined;
      const item = itemOf(first, key);
      if (item?.type === 'failed') throw new SourceProblem('archived', item.refusal.message);
      return item?.type === 'entry' ? item.entry : undefined;
    },

    async close() {
      closing.abort(temporary('unreachable', 'The session with the source was closed.'));
      client.destroy();
    },
  };
}

function withoutEnd(pages: number, ms: number): SourceProblem {
  return new SourceProblem(
    'unusable',
    `The server sent ${pages} empty pages of its listing in ${durationOf(ms)}, and always said that more follow. ` +
      'If the bucket has many deleted versions, remove them with a lifecycle rule. Otherwise use another server.',
  );
}

function unordered(): SourceProblem {
  return new SourceProblem(
    'unusable',
    'This server does not list objects in the order of their keys. A backup could miss some. Use another server.',
  );
}

/** The key below the prefix. `url`: the server encoded it like a form, with `+` for a space. */
function keyOf(object: Listed, prefix: string, url: boolean): string {
  const listed = object.Key ?? '';
  try {
    const key = url ? decodeURIComponent(listed.replaceAll('+', ' ')) : listed;
    if (Buffer.byteLength(key) > maxKey || Number(object.ETag?.length) > maxKey) throw outsideLimits();
    if (key !== '' && key.startsWith(prefix)) return key.slice(prefix.length);
  } catch (error) {
    // Any other name is not UTF-8, which S3 does not allow.
    if (error instanceof SourceProblem) throw error;
  }
  throw new SourceProblem(
    'unusable',
    'The server lists names that are invalid or not below the prefix. Check the endpoint.',
  );
}

/**
 * An empty object whose key ends in `/` is a folder: S3 consoles make folders so. With content it is a file of that
 * name. An object named exactly like the prefix has an empty key. Empty it is omitted, with content it is skipped.
 */
function itemOf(object: Listed, key: string): ListItem | undefined {
  const size = object.Size ?? 0;
  if (key === '') {
    const message = 'An object named exactly like the prefix has no name below it. Shorten `prefix` to include it.';
    return size === 0 ? undefined : { type: 'skipped', refusal: { key, code: 'is-prefix', message } };
  }
  const entry: SourceEntry = {
    key,
    kind: key.endsWith('/') && size === 0 ? 'folder' : 'file',
    size,
    modifiedAt: object.LastModified?.toISOString() ?? null,
    revision: revisionOf(size, object.LastModified, object.ETag),
  };
  // A folder has no content to read, so its storage class does not matter.
  if (entry.kind === 'folder' || !isArchived(object)) return { type: 'entry', entry };
  return { type: 'failed', refusal: { key, code: 'archived', message: archivedMessage }, entry };
}

function isArchived(object: Listed): boolean {
  if (object.StorageClass !== 'GLACIER' && object.StorageClass !== 'DEEP_ARCHIVE') return false;
  return object.RestoreStatus?.RestoreExpiryDate === undefined;
}
