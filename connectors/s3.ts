/** A bucket of S3 or of any server that speaks its protocol, or the part of it below a prefix. */
import { type _Object as Listed, ListObjectsV2Command, type ListObjectsV2CommandOutput } from '@aws-sdk/client-s3';
import * as z from 'zod';
import { compareKeys, type ListItem, type SourceEntry } from '../domain/entry.ts';
import type { ByteRange } from '../domain/ports.ts';
import {
  afterOf,
  type Connector,
  type ConnectorContext,
  invalidSettings,
  type ListPage,
  pageAfter,
  parseSettings,
  SourceProblem,
  type SourceSession,
} from './connector.ts';
import { archivedMessage, clientFor, type Link, type Patience, persist, usualPatience } from './s3-client.ts';
import { readObject, revisionOf } from './s3-read.ts';
import { checkAddress } from './safe-agent.ts';

const config = z.strictObject({
  bucket: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{1,253}[a-zA-Z0-9]$/, 'Give the name of the bucket alone, as in `my-bucket`.')
    .refine((bucket) => !bucket.endsWith('--x-s3'), 'Directory buckets (S3 Express) do not list in order and cannot be backed up.')
    .describe('The name of the bucket.'),
  prefix: z
    .string()
    .max(1_024)
    .refine((prefix) => prefix.isWellFormed(), 'This is not valid Unicode.')
    .optional()
    .describe('Only objects whose keys start so; it is cut off their names. Usually ends in `/`.'),
  region: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,62}$/i, 'Give the code of the region, as in `eu-central-1`.')
    .optional()
    .describe('The region of the bucket; `us-east-1` when absent.'),
  endpoint: z
    .string()
    .max(2_048)
    .optional()
    .meta({ description: 'The URL of an S3-compatible server; AWS when absent.', format: 'uri', pattern: '^https?://' }),
});

const visible = /^[\x21-\x7e]{1,512}$/;
const credentials = z.strictObject({
  accessKeyId: z
    .string()
    .regex(visible, 'Give the id of the access key, with no spaces.')
    .describe('The id of an access key that may s3:ListBucket and s3:GetObject.'),
  secretAccessKey: z.string().regex(visible, 'Give the secret of the access key, with no spaces.').describe('Its secret.'),
});

type S3Config = z.infer<typeof config>;
type S3Credentials = z.infer<typeof credentials>;

export const s3: Connector<S3Config, S3Credentials> = {
  type: 's3',
  config,
  credentials,
  open: (given, secret, context) => openS3(given, secret, context, usualPatience),
};

/** `s3.open` with other patience. */
export async function openS3(given: unknown, secret: unknown, context: ConnectorContext, patience: Patience): Promise<SourceSession> {
  const settings = parseSettings(config, given, 'config');
  const access = parseSettings(credentials, secret, 'credentials');
  const { bucket, endpoint, prefix = '', region = 'us-east-1' } = settings;
  if (endpoint !== undefined) {
    const url = checkAddress(endpoint, context.allowHosts, 'config.endpoint');
    if (url.search !== '' || url.hash !== '') {
      throw invalidSettings([{ path: 'config.endpoint', message: 'Give the URL without what follows a ? or #.' }]);
    }
  }
  const client = clientFor({ region, endpoint, credentials: access, allowHosts: context.allowHosts }, patience);
  const closing = new AbortController();
  const link: Link = { client, patience, closed: closing.signal };

  async function list(start: string, after: string | null, limit: number): Promise<ListObjectsV2CommandOutput> {
    let token: string | undefined;
    while (true) {
      const command = new ListObjectsV2Command({
        Bucket: bucket,
        MaxKeys: Math.min(limit, 1_000),
        // XML cannot hold every character that a key can.
        EncodingType: 'url',
        OptionalObjectAttributes: ['RestoreStatus'],
        ...(start === '' ? {} : { Prefix: start }),
        ...(after === null ? {} : { StartAfter: after }),
        ...(token === undefined ? {} : { ContinuationToken: token }),
      });
      const answer = await persist(link, 'bucket', (client, options) => client.send(command, options));
      // Whatever else answers 200 must not pass for an empty bucket, or every file would count as deleted.
      if (answer.IsTruncated === undefined)
        throw new SourceProblem('unusable', 'What answers at this endpoint is not an S3 server. Correct `endpoint`.');
      if (!answer.IsTruncated || answer.Contents?.length) return answer;
      token = answer.NextContinuationToken;
      if (token === undefined) throw unordered();
    }
  }

  return {
    async check() {
      await list(prefix, null, 1);
    },

    /** A page token holds the last key, not the server's token, so it outlives both of us and the objects. */
    async changes(cursor, { limit }): Promise<ListPage> {
      const after = cursor.page === null ? null : afterOf(cursor.page);
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
      return { mode: 'full', items, page: answer.IsTruncated && last !== null ? pageAfter(last) : null, since: null };
    },

    async read(entry: SourceEntry, range?: ByteRange) {
      if (entry.kind !== 'file') throw new SourceProblem('unreadable', 'Only files have content.');
      return readObject({ link, bucket, key: prefix + entry.key, entry }, range ?? { offset: 0, length: entry.size });
    },

    /** A listing, since HeadObject cuts the time of the last change to seconds and the revision would be another. */
    async look(key) {
      const name = prefix + key;
      const answer = await list(name, null, 1);
      // Of all keys that start with it, it is the first.
      const first = answer.Contents?.[0];
      if (first === undefined || keyOf(first, name, answer.EncodingType === 'url') !== '') return undefined;
      const item = itemOf(first, key);
      if (item?.type === 'failed') throw new SourceProblem('archived', item.refusal.message);
      return item?.type === 'entry' ? item.entry : undefined;
    },

    describe: () => ({ identity: `s3://${bucket}/${prefix}${endpoint === undefined ? '' : ` at ${new URL(endpoint).host}`}` }),

    async close() {
      closing.abort();
      client.destroy();
    },
  };
}

function unordered(): SourceProblem {
  return new SourceProblem(
    'unusable',
    'This server does not list objects in the order of their keys, as S3 does; a backup of it could miss some.',
  );
}

/** The key below the prefix. With `url` it is encoded as in a form: a space is `+`. */
function keyOf(object: Listed, prefix: string, url: boolean): string {
  const listed = object.Key ?? '';
  try {
    const key = url ? decodeURIComponent(listed.replaceAll('+', ' ')) : listed;
    if (key !== '' && key.startsWith(prefix)) return key.slice(prefix.length);
  } catch {
    // Not UTF-8, which S3 does not allow.
  }
  throw new SourceProblem('unusable', 'The server lists names that cannot be, or that are not below the prefix.');
}

/**
 * An object whose key ends in `/` is a folder when it is empty, as the consoles make them; with content it is a file of that very
 * name. One named like the prefix itself has no name below it: the empty marker is left out, one with content is skipped.
 */
function itemOf(object: Listed, key: string): ListItem | undefined {
  const size = object.Size ?? 0;
  if (key === '') {
    const message = 'An object named exactly like the prefix has no name below it. Shorten `prefix` to include it.';
    return size === 0 ? undefined : { type: 'skipped', refusal: { key, code: 'is-prefix', message } };
  }
  if (isArchived(object)) return { type: 'failed', refusal: { key, code: 'archived', message: archivedMessage } };
  return {
    type: 'entry',
    entry: {
      key,
      kind: key.endsWith('/') && size === 0 ? 'folder' : 'file',
      size,
      modifiedAt: object.LastModified?.toISOString() ?? null,
      revision: revisionOf(size, object.LastModified, object.ETag),
    },
  };
}

function isArchived(object: Listed): boolean {
  if (object.StorageClass !== 'GLACIER' && object.StorageClass !== 'DEEP_ARCHIVE') return false;
  return object.RestoreStatus?.RestoreExpiryDate === undefined;
}
