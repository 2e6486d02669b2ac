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
import {
  archivedMessage,
  type Connection,
  clientFor,
  defaultRetries,
  outsideLimits,
  type RetryPolicy,
  withRetries,
} from './s3-client.ts';
import { readObject, revisionOf } from './s3-read.ts';
import type { S3Config, S3Credentials } from './s3-settings.ts';
import { checkAddress } from './safe-agent.ts';

/** Objects that one batch reads at once. It hides the latency of each request. */
const parallelReads = 16;
/** Bytes of a key on S3. Everything that grows with a key, such as its folders, relies on this limit. */
const maxKey = 1_024;

/** Throws Problem `invalid-input` for an endpoint that is not allowed. */
export function startSession(
  { bucket, endpoint, prefix = '', region = 'us-east-1' }: S3Config,
  access: S3Credentials,
  context: ConnectorContext,
  retries: RetryPolicy = defaultRetries,
): SourceSession {
  if (endpoint !== undefined) {
    const url = checkAddress(endpoint, context.allowHosts, 'config.endpoint');
    if (url.search !== '' || url.hash !== '') {
      throw invalidSettings([
        { path: 'config.endpoint', message: 'Give the URL without a query (?) or fragment (#).' },
      ]);
    }
  }
  const client = clientFor({ region, endpoint, credentials: access, allowHosts: context.allowHosts }, retries);
  const closing = new AbortController();
  const connection: Connection = { client, retries, closed: closing.signal };

  async function list(start: string, after: string | null, limit: number): Promise<ListObjectsV2CommandOutput> {
    let token: string | undefined;
    const most = Math.min(limit, 1_000);
    while (true) {
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
      token = answer.NextContinuationToken;
      if (token === undefined) throw unordered();
    }
  }

  /** If the server still lists the bucket, only this object is unreadable. Then the run goes on with the others. */
  async function diagnose(error: unknown): Promise<unknown> {
    if (!(error instanceof SourceProblem && error.code === 'unreachable' && error.retryable)) return error;
    try {
      await list(prefix, null, 1);
    } catch (problem) {
      return problem;
    }
    const message = 'The server answers but does not return this object. Check there whether it is damaged.';
    return temporary('unreadable', message);
  }

  async function* content({ entry, range = { offset: 0, length: entry.size } }: ReadRequest) {
    if (entry.kind !== 'file') throw new SourceProblem('unreadable', 'This is not a file, so it has no content.');
    try {
      yield* await readObject({ connection, bucket, key: prefix + entry.key, entry }, range);
    } catch (error) {
      throw await diagnose(error);
    }
  }

  return {
    async check() {
      await list(prefix, null, 1);
    },

    /** A page token holds the last key, not the token of the server. So it stays valid after restarts and changes. */
    async list(token, { limit }): Promise<ListPage> {
      const after = token === null ? null : positionAfter(token).key;
      const answer = await list(prefix, after === null ? null : prefix + after, limit);
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

    read: (requests) => interleaved(requests, parallelReads, content),

    /** Uses a listing: HeadObject returns times in whole seconds, which would change the revision. */
    async look({ key }) {
      const name = prefix + key;
      const answer = await list(name, null, 1);
      // Of all keys with this prefix, the key itself sorts first.
      const first = answer.Contents?.[0];
      if (first === undefined || keyOf(first, name, answer.EncodingType === 'url') !== '') return undefined;
      const item = itemOf(first, key);
      if (item?.type === 'failed') throw new SourceProblem('archived', item.refusal.message);
      return item?.type === 'entry' ? item.entry : undefined;
    },

    async close() {
      closing.abort();
      client.destroy();
    },
  };
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
