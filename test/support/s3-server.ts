/**
 * A small S3 server for tests that need only Node, after the published API reference. It checks signatures and knows
 * ListObjectsV2, conditional and ranged GetObject, PutObject, DeleteObject and HeadBucket. Tests can make it misbehave.
 */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Tests may replace the global timers. */
const [every, stopEvery] = [setInterval, clearInterval];

export type S3Request = {
  method: string;
  bucket: string;
  key: string;
  query: URLSearchParams;
  headers: IncomingMessage['headers'];
};
export type Misbehaviour =
  | { answer: { status: number; code: string; headers?: { [name: string]: string } } }
  | { raw: { status: number; body: string } }
  /** Sends that many bytes of the body, then the connection breaks or stalls. */
  | { cutAfter: number }
  | { stallAfter: number }
  /** Sends a byte of the body each few milliseconds, of an object or a listing. */
  | { dripMs: number }
  /** Answers correctly once the promise resolves. */
  | { heldUntil: Promise<unknown> }
  /** Ignores the conditions of the request. */
  | { unconditional: true };

type Stored = { body: Buffer; etag: string; modified: Date; storageClass: string; restored: boolean };

export type S3Server = {
  endpoint: string;
  host: string;
  bucket: string;
  credentials: { accessKeyId: string; secretAccessKey: string };
  objects: Map<string, Stored>;
  /** Requests whose connection is open and that have no complete answer. */
  open(): number;
  /** Every request, signed or not. */
  requests: S3Request[];
  /** Picks the misbehaviour for each request. `undefined` answers correctly. */
  misbehave: (request: S3Request) => Misbehaviour | undefined;
  /** The order of keys in listings, by default the order of their bytes. */
  order: (a: string, b: string) => number;
  put(key: string, body: Uint8Array | string, options?: { storageClass?: string; restored?: boolean }): void;
  close(): Promise<void>;
};

export async function startS3Server(): Promise<S3Server> {
  const unanswered = new Set<ServerResponse>();
  const server = createServer((request, response) => {
    unanswered.add(response);
    response.once('close', () => unanswered.delete(response));
    handle(state, request, response).catch((error: unknown) =>
      response.destroy(error instanceof Error ? error : undefined),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const state: S3Server = {
    endpoint: `http://${host}`,
    host,
    bucket: 'test-bucket',
    credentials: { accessKeyId: 'AKIDTESTTESTTESTTEST', secretAccessKey: 'test/secret+key/that=is-never-shown' },
    objects: new Map(),
    requests: [],
    open: () => unanswered.size,
    misbehave: () => undefined,
    order: (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)),
    put(key, body, { storageClass = 'STANDARD', restored = false } = {}) {
      const bytes = Buffer.from(body);
      const etag = `"${createHash('md5').update(bytes).digest('hex')}"`;
      state.objects.set(key, { body: bytes, etag, modified: new Date(), storageClass, restored });
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return state;
}

async function handle(state: S3Server, incoming: IncomingMessage, response: ServerResponse): Promise<void> {
  // URL would resolve a `..` within a key
  const [path = '', search = ''] = (incoming.url ?? '').split(/\?(.*)/s);
  const [, bucket = '', key = ''] = path.match(/^\/([^/]*)\/?(.*)$/s) ?? [];
  const request: S3Request = {
    method: incoming.method ?? '',
    bucket,
    key: decodeURIComponent(key),
    query: new URLSearchParams(search.replaceAll('+', '%2B')),
    headers: incoming.headers,
  };
  state.requests.push(request);
  const body = Buffer.concat(await incoming.toArray());
  const fault = state.misbehave(request);
  if (fault !== undefined && 'answer' in fault)
    return sendError(response, fault.answer.status, fault.answer.code, fault.answer.headers);
  if (fault !== undefined && 'raw' in fault) {
    response.writeHead(fault.raw.status, { 'content-type': 'text/html' }).end(fault.raw.body);
    return;
  }
  if (fault !== undefined && 'heldUntil' in fault) await fault.heldUntil;
  const denied = authorize(state, request, path, search);
  if (denied !== undefined) return sendError(response, 403, denied);
  if (bucket !== state.bucket) return sendError(response, 404, 'NoSuchBucket');
  if (request.key === '') {
    if (request.method === 'HEAD') response.end();
    else if (fault !== undefined && 'dripMs' in fault) drip(response, listing(state, request.query), fault.dripMs);
    else if (fault !== undefined && 'stallAfter' in fault)
      response.writeHead(200).write(listing(state, request.query).slice(0, fault.stallAfter));
    else sendXml(response, 200, listing(state, request.query));
    return;
  }
  if (request.method === 'PUT') {
    state.put(request.key, body);
    response.setHeader('etag', state.objects.get(request.key)?.etag ?? '').end();
  } else if (request.method === 'DELETE') {
    state.objects.delete(request.key);
    response.writeHead(204).end();
  } else {
    sendObject(response, state.objects.get(request.key), request, fault);
  }
}

/** The error code. Undefined if the signature is right (Signature Version 4 in headers). */
function authorize(state: S3Server, request: S3Request, path: string, search: string): string | undefined {
  const given = request.headers.authorization?.match(
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/,
  );
  if (!given) return 'AccessDenied';
  const [, id = '', day = '', region = '', signed = '', signature = ''] = given;
  if (id !== state.credentials.accessKeyId) return 'InvalidAccessKeyId';
  const headers = signed.split(';').map((name) => `${name}:${String(request.headers[name] ?? '').trim()}\n`);
  const query = search === '' ? [] : search.split('&').map((pair) => (pair.includes('=') ? pair : `${pair}=`));
  const canonical = [
    request.method,
    path,
    query.sort().join('&'),
    headers.join(''),
    signed,
    request.headers['x-amz-content-sha256'] ?? '',
  ].join('\n');
  const digest = createHash('sha256').update(canonical).digest('hex');
  const toSign = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], `${day}/${region}/s3/aws4_request`, digest].join(
    '\n',
  );
  const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest();
  const key = [region, 's3', 'aws4_request'].reduce<Buffer>(
    hmac,
    hmac(`AWS4${state.credentials.secretAccessKey}`, day),
  );
  return timingSafeEqual(hmac(key, toSign), Buffer.from(signature, 'hex')) ? undefined : 'SignatureDoesNotMatch';
}

function listing(state: S3Server, query: URLSearchParams): string {
  const prefix = query.get('prefix') ?? '';
  const continuation = query.get('continuation-token');
  const after = continuation === null ? query.get('start-after') : Buffer.from(continuation, 'base64').toString();
  const most = Math.min(Number(query.get('max-keys') ?? 1000), 1000);
  const name = query.get('encoding-type') === 'url' ? formEncoded : escapeXml;
  const keys = [...state.objects.keys()]
    .sort(state.order)
    .filter((key) => key.startsWith(prefix) && (after === null || state.order(key, after) > 0));
  const page = keys.slice(0, most);
  const truncated = keys.length > most;
  return [
    '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
    `<Name>${state.bucket}</Name><Prefix>${name(prefix)}</Prefix><MaxKeys>${most}</MaxKeys><KeyCount>${page.length}</KeyCount>`,
    `<IsTruncated>${truncated}</IsTruncated>`,
    query.has('encoding-type') ? '<EncodingType>url</EncodingType>' : '',
    truncated
      ? `<NextContinuationToken>${Buffer.from(page.at(-1) ?? '').toString('base64')}</NextContinuationToken>`
      : '',
    ...page.map((key) => {
      const object = state.objects.get(key) as Stored;
      const restore =
        '<RestoreStatus><IsRestoreInProgress>false</IsRestoreInProgress><RestoreExpiryDate>2099-01-01T00:00:00Z</RestoreExpiryDate></RestoreStatus>';
      return [
        `<Contents><Key>${name(key)}</Key><LastModified>${object.modified.toISOString()}</LastModified><ETag>${escapeXml(object.etag)}</ETag>`,
        `<Size>${object.body.length}</Size><StorageClass>${object.storageClass}</StorageClass>${object.restored ? restore : ''}</Contents>`,
      ].join('');
    }),
    '</ListBucketResult>',
  ].join('');
}

function sendObject(
  response: ServerResponse,
  object: Stored | undefined,
  request: S3Request,
  fault: Misbehaviour | undefined,
): void {
  const refusal = refusalOf(object, request, fault);
  if (refusal !== undefined || object === undefined) {
    sendError(response, refusal?.status ?? 404, refusal?.code ?? 'NoSuchKey');
    return;
  }
  const size = object.body.length;
  const range = rangeOf(request);
  const from = Number(range?.[1] ?? 0);
  const to = Math.min(Number(range?.[2] ?? size - 1), size - 1);
  const body = object.body.subarray(from, to + 1);
  response.writeHead(range ? 206 : 200, {
    etag: object.etag,
    'last-modified': object.modified.toUTCString(),
    'content-length': body.length,
    ...(range ? { 'content-range': `bytes ${from}-${to}/${size}` } : {}),
  });
  if (fault !== undefined && 'cutAfter' in fault)
    response.write(body.subarray(0, fault.cutAfter), () => response.destroy());
  else if (fault !== undefined && 'stallAfter' in fault) response.write(body.subarray(0, fault.stallAfter));
  else if (fault !== undefined && 'dripMs' in fault) drip(response, body, fault.dripMs);
  else response.end(body);
}

function drip(response: ServerResponse, body: Uint8Array | string, ms: number): void {
  const bytes = Buffer.from(body);
  let sent = 0;
  const timer = every(() => (sent < bytes.length ? response.write(bytes.subarray(sent, ++sent)) : response.end()), ms);
  response.once('close', () => stopEvery(timer));
}

function refusalOf(
  object: Stored | undefined,
  request: S3Request,
  fault: Misbehaviour | undefined,
): { status: number; code: string } | undefined {
  if (object === undefined) return { status: 404, code: 'NoSuchKey' };
  const match = request.headers['if-match'];
  const conditional = !(fault !== undefined && 'unconditional' in fault);
  if (conditional && match !== undefined && match !== object.etag) return { status: 412, code: 'PreconditionFailed' };
  if (object.storageClass === 'GLACIER' && !object.restored) return { status: 403, code: 'InvalidObjectState' };
  if (Number(rangeOf(request)?.[1] ?? -1) >= object.body.length) return { status: 416, code: 'InvalidRange' };
  return undefined;
}

function rangeOf(request: S3Request): RegExpMatchArray | null | undefined {
  return request.headers.range?.match(/^bytes=(\d+)-(\d+)$/);
}

function sendError(
  response: ServerResponse,
  status: number,
  code: string,
  headers: { [name: string]: string } = {},
): void {
  sendXml(
    response,
    status,
    `<Error><Code>${code}</Code><Message>on purpose</Message><RequestId>0</RequestId></Error>`,
    headers,
  );
}

function sendXml(
  response: ServerResponse,
  status: number,
  xml: string,
  headers: { [name: string]: string } = {},
): void {
  response
    .writeHead(status, { 'content-type': 'application/xml', ...headers })
    .end(`<?xml version="1.0" encoding="UTF-8"?>\n${xml}`);
}

/** Encodes keys as S3 does with `encoding-type=url`: percent-encoded UTF-8, but `/` unchanged and a space as `+`. */
function formEncoded(key: string): string {
  return encodeURIComponent(key)
    .replaceAll('%2F', '/')
    .replaceAll('%20', '+')
    .replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
