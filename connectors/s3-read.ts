/** Reads one object, all of it from one revision. Continues after broken connections. */
import { Readable } from 'node:stream';
import { GetObjectCommand, type GetObjectCommandOutput } from '@aws-sdk/client-s3';
import type { SourceEntry } from '../domain/entry.ts';
import type { ByteRange } from '../domain/ports.ts';
import { SourceProblem, temporary } from './connector.ts';
import { type Connection, changed, problemOf, withRetries } from './s3-client.ts';
import { paced, TooSlow } from './s3-limits.ts';

export type ObjectToRead = { connection: Connection; bucket: string; key: string; entry: SourceEntry };

/**
 * The read fails after this many broken connections in a row. A connection that read `progressBytes` starts a new
 * count.
 */
const maxBreaks = 4;
/** The same for connections that were too slow, because each takes minutes. */
const maxSlow = 2;
const progressBytes = 1024 * 1024;

/**
 * Requests the range at once, then streams it. After a broken connection it requests the rest.
 * @throws SourceProblem, and the reason of `connection.stop`, also while streaming
 */
export async function readObject(object: ObjectToRead, range: ByteRange): Promise<AsyncIterable<Uint8Array>> {
  const end = Math.min(range.offset + range.length, object.entry.size);
  // An empty range needs no request.
  if (range.offset >= end) return Readable.from([]);
  return streamFrom(object, range.offset, end, await bodyOf(object, range.offset, end));
}

async function* streamFrom(
  object: ObjectToRead,
  start: number,
  end: number,
  first: Readable,
): AsyncGenerator<Uint8Array, void> {
  const { limits, stop } = object.connection;
  let body = first;
  let at = start;
  let breaks = 0;
  let slow = 0;
  let brokeAt = start;
  try {
    while (true) {
      let failure: unknown;
      try {
        for await (const chunk of paced(body, limits, stop)) {
          at += chunk.length;
          if (at > end)
            throw new SourceProblem('unusable', 'The server sent more bytes than requested. Check the endpoint.');
          yield chunk;
        }
      } catch (error) {
        stop.throwIfAborted();
        failure = error;
      }
      if (failure instanceof SourceProblem && !(failure instanceof TooSlow)) throw failure;
      if (at === end) return;
      if (at - brokeAt >= progressBytes) breaks = slow = 0;
      breaks++;
      if (failure instanceof TooSlow && ++slow > maxSlow) throw failure;
      brokeAt = at;
      if (breaks > maxBreaks) throw brokenOff(failure);
      body = await bodyOf(object, at, end);
    }
  } finally {
    body.on('error', () => {}).destroy();
  }
}

async function bodyOf({ connection, bucket, key, entry }: ObjectToRead, at: number, end: number): Promise<Readable> {
  const etag = etagOf(entry.revision);
  const whole = at === 0 && end === entry.size;
  const command = new GetObjectCommand({
    Bucket: bucket,
    Key: key,
    ...(etag === '' ? {} : { IfMatch: etag }),
    ...(whole ? {} : { Range: `bytes=${at}-${end - 1}` }),
  });
  const answer = await withRetries(connection, 'object', (client, options) => client.send(command, options));
  const body = answer.Body;
  if (!(body instanceof Readable)) throw temporary('unreachable', 'The server sent no content. Try again.');
  const total = whole ? answer.ContentLength : Number(answer.ContentRange?.match(/^bytes \d+-\d+\/(\d+)$/)?.[1]);
  const problem =
    total !== entry.size || !isRevision(answer, entry.revision)
      ? changed()
      : !whole && !answer.ContentRange?.startsWith(`bytes ${at}-${end - 1}/`)
        ? new SourceProblem('unusable', 'The server does not support range requests, which a backup needs.')
        : undefined;
  if (problem === undefined) return body;
  // Aborted, because the body may be large.
  body.on('error', () => {}).destroy();
  throw problem;
}

function brokenOff(failure: unknown): SourceProblem {
  if (failure !== undefined) return problemOf(failure, 'object');
  return temporary(
    'unreachable',
    'The server breaks off in the middle of this object again and again. Check it there.',
  );
}

/** The revision of an object: `{size}-{last modified, ms}-{etag}`. */
export function revisionOf(size: number, modified: Date | undefined, etag: string | undefined): string {
  return `${size}-${modified?.getTime() ?? ''}-${etag ?? ''}`;
}

function etagOf(revision: string): string {
  return revision.split('-').slice(2).join('-');
}

/** Checks the response: some servers ignore If-Match, and some have no etags. */
function isRevision(answer: GetObjectCommandOutput, revision: string): boolean {
  const etag = etagOf(revision);
  if (etag !== '' && answer.ETag !== undefined) return answer.ETag === etag;
  // The header has whole seconds, the listing has milliseconds.
  const listed = revision.split('-')[1] ?? '';
  if (listed === '' || answer.LastModified === undefined) return true;
  return Math.floor(answer.LastModified.getTime() / 1_000) === Math.floor(Number(listed) / 1_000);
}
