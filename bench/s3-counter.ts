/**
 * An S3 server in memory that counts requests. It knows the part of the API that ListBackup and restic use, after the
 * published API reference. It does not check signatures, so it listens on the loopback address only.
 */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Requests by price: writing and listing, reading, deleting. */
export type Requests = { writes: number; reads: number; deletes: number };
export type S3Counter = {
  endpoint: string;
  count(): Requests;
  /** Requests by method and folder: `PUT packs` for an object `prefix/packs/…`. A listing is `LIST`. */
  kinds(): Map<string, number>;
  bytes(): number;
  close(): Promise<void>;
};

type Call = {
  method: string;
  bucket: string;
  key: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
  body: Buffer;
};
type Answer = { status: number; headers?: { [name: string]: string | number }; body?: Buffer | string };

export async function startS3Counter(): Promise<S3Counter> {
  const objects = new Map<string, Buffer>();
  const parts = new Map<string, Map<number, Buffer>>();
  const requests: Requests = { writes: 0, reads: 0, deletes: 0 };
  const kinds = new Map<string, number>();
  const server = createServer((incoming, response) => {
    receive(incoming)
      .then((call) => {
        requests[priceOf(call)] += 1;
        kinds.set(kindOf(call), (kinds.get(kindOf(call)) ?? 0) + 1);
        send(response, call, answer(call, objects, parts));
      })
      .catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    count: () => ({ ...requests }),
    kinds: () => new Map(kinds),
    bytes: () => [...objects.values()].reduce((sum, { length }) => sum + length, 0),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function receive(incoming: IncomingMessage): Promise<Call> {
  const [path = '', search = ''] = (incoming.url ?? '').split(/\?(.*)/s);
  const [, bucket = '', key = ''] = path.match(/^\/([^/]*)\/?(.*)$/s) ?? [];
  const raw = Buffer.concat(await incoming.toArray());
  const chunked = incoming.headers['x-amz-decoded-content-length'] !== undefined;
  return {
    method: incoming.method ?? '',
    bucket,
    key: decodeURIComponent(key),
    query: new URLSearchParams(search),
    headers: incoming.headers,
    body: chunked ? unchunked(raw) : raw,
  };
}

/** Decodes an `aws-chunked` body: `<hex length>;chunk-signature=…\r\n<bytes>\r\n`, ended by an empty chunk. */
function unchunked(raw: Buffer): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at < raw.length; ) {
    const line = raw.indexOf('\r\n', at);
    const length = Number.parseInt(raw.toString('latin1', at, line), 16);
    if (!(length > 0)) break;
    pieces.push(raw.subarray(line + 2, line + 2 + length));
    at = line + 2 + length + 2;
  }
  return Buffer.concat(pieces);
}

function kindOf({ method, key, query }: Call): string {
  const isList = method === 'GET' && key === '';
  const [, folder = ''] = (isList ? (query.get('prefix') ?? '') : key).split('/');
  return `${isList ? 'LIST' : method} ${folder}`;
}

function priceOf({ method, key, query }: Call): keyof Requests {
  if (method === 'DELETE' || query.has('delete')) return 'deletes';
  if (method === 'HEAD' || (method === 'GET' && (key !== '' || query.has('location')))) return 'reads';
  return 'writes';
}

function answer(call: Call, objects: Map<string, Buffer>, parts: Map<string, Map<number, Buffer>>): Answer {
  const { method, bucket, key, query, headers, body } = call;
  const name = `${bucket}/${key}`;
  if (key === '') return ofBucket(call, objects);
  const upload = query.get('uploadId');
  if (method === 'POST' && query.has('uploads')) {
    const id = String(parts.size + 1);
    parts.set(id, new Map());
    return xml(`<InitiateMultipartUploadResult><UploadId>${id}</UploadId></InitiateMultipartUploadResult>`);
  }
  if (method === 'PUT' && upload) {
    parts.get(upload)?.set(Number(query.get('partNumber')), body);
    return { status: 200, headers: { etag: etagOf(body) } };
  }
  if (method === 'PUT' || (method === 'POST' && upload)) {
    if (headers['if-none-match'] === '*' && objects.has(name)) return failure(412, 'PreconditionFailed');
    const pieces = [...(parts.get(upload ?? '') ?? [])].sort(([a], [b]) => a - b).map(([, piece]) => piece);
    const whole = upload ? Buffer.concat(pieces) : body;
    objects.set(name, whole);
    if (!upload) return { status: 200, headers: { etag: etagOf(whole) } };
    return xml(
      `<CompleteMultipartUploadResult><ETag>${escapeXml(etagOf(whole))}</ETag></CompleteMultipartUploadResult>`,
    );
  }
  if (method === 'DELETE') {
    objects.delete(name);
    return { status: 204 };
  }
  return ofObject(objects.get(name), headers.range);
}

function ofObject(object: Buffer | undefined, range: string | undefined): Answer {
  if (object === undefined) return failure(404, 'NoSuchKey');
  const headers = { etag: etagOf(object), 'last-modified': new Date(0).toUTCString(), 'accept-ranges': 'bytes' };
  const [, from, to] = range?.match(/^bytes=(\d+)-(\d*)$/) ?? [];
  if (from === undefined) return { status: 200, headers, body: object };
  if (Number(from) >= object.length) return failure(416, 'InvalidRange');
  const piece = object.subarray(Number(from), to ? Number(to) + 1 : undefined);
  const last = Number(from) + piece.length - 1;
  return {
    status: 206,
    headers: { ...headers, 'content-range': `bytes ${from}-${last}/${object.length}` },
    body: piece,
  };
}

function ofBucket({ method, bucket, query, body }: Call, objects: Map<string, Buffer>): Answer {
  if (query.has('location')) return xml('<LocationConstraint></LocationConstraint>');
  if (method === 'POST' && query.has('delete')) {
    const keys = [...body.toString().matchAll(/<Key>(.*?)<\/Key>/gs)].map(([, key = '']) => key);
    for (const key of keys) objects.delete(`${bucket}/${key}`);
    return xml('<DeleteResult></DeleteResult>');
  }
  if (method !== 'GET') return { status: 200 };
  const prefix = query.get('prefix') ?? '';
  const delimiter = query.get('delimiter') ?? '';
  const folderOf = (key: string) => {
    const end = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length);
    return end < 0 ? undefined : key.slice(0, end + delimiter.length);
  };
  const after = query.get('continuation-token') ?? query.get('start-after') ?? query.get('key-marker') ?? '';
  const most = Number(query.get('max-keys') ?? 1000);
  const keys = [...objects.keys()]
    .filter((name) => name.startsWith(`${bucket}/${prefix}`))
    .map((name) => name.slice(bucket.length + 1))
    .filter((key) => key > after)
    .sort();
  const page = keys.slice(0, most);
  const more = keys.length > most;
  const [list, item] = query.has('versions') ? ['ListVersionsResult', 'Version'] : ['ListBucketResult', 'Contents'];
  const entries = page
    .filter((key) => folderOf(key) === undefined)
    .map((key) => {
      const object = objects.get(`${bucket}/${key}`) ?? Buffer.alloc(0);
      const about = `<Key>${escapeXml(key)}</Key><Size>${object.length}</Size><ETag>${escapeXml(etagOf(object))}</ETag>`;
      return `<${item}>${about}<LastModified>1970-01-01T00:00:00.000Z</LastModified><VersionId>null</VersionId></${item}>`;
    });
  const folders = new Set(page.flatMap((key) => folderOf(key) ?? []));
  const next = escapeXml(page.at(-1) ?? '');
  return xml(
    [
      `<${list}><Name>${bucket}</Name><Prefix>${escapeXml(prefix)}</Prefix><KeyCount>${page.length}</KeyCount><MaxKeys>${most}</MaxKeys>`,
      `<IsTruncated>${more}</IsTruncated>`,
      more ? `<NextContinuationToken>${next}</NextContinuationToken><NextKeyMarker>${next}</NextKeyMarker>` : '',
      ...entries,
      ...[...folders].map((folder) => `<CommonPrefixes><Prefix>${escapeXml(folder)}</Prefix></CommonPrefixes>`),
      `</${list}>`,
    ].join(''),
  );
}

function send(response: ServerResponse, { method }: Call, { status, headers = {}, body = '' }: Answer): void {
  const length = Buffer.byteLength(body);
  response.writeHead(status, { ...headers, ...(status === 204 ? {} : { 'content-length': length }) });
  response.end(method === 'HEAD' ? undefined : body);
}

const etags = new WeakMap<Buffer, string>();
function etagOf(body: Buffer): string {
  const etag = etags.get(body) ?? `"${createHash('md5').update(body).digest('hex')}"`;
  etags.set(body, etag);
  return etag;
}

function xml(body: string): Answer {
  return {
    status: 200,
    headers: { 'content-type': 'application/xml' },
    body: `<?xml version="1.0" encoding="UTF-8"?>\n${body}`,
  };
}

function failure(status: number, code: string): Answer {
  return { ...xml(`<Error><Code>${code}</Code><Message>${code}</Message></Error>`), status };
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
