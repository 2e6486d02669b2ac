/** An S3 client for the bucket of a user: uses nothing of our environment, and turns errors into SourceProblems. */
import { Readable } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { SourceProblem, temporary } from './connector.ts';
import { isRefusedAddress, safeAgents } from './safe-agent.ts';

export type S3Target = {
  region: string;
  /** Undefined: AWS. */
  endpoint: string | undefined;
  credentials: { accessKeyId: string; secretAccessKey: string };
  allowHosts: readonly string[];
};

/**
 * `idleMs`: a connection without data for this long fails. `pauseMs`: the pause before the first retry, then doubled.
 */
export type RetryPolicy = { idleMs: number; pauseMs: number; wait(ms: number): Promise<unknown> };

export const defaultRetries: RetryPolicy = { idleMs: 30_000, pauseMs: 200, wait: (ms) => setTimeout(ms) };

/** The client of one session. `closed` aborts its requests. */
export type Connection = { client: S3Client; retries: RetryPolicy; closed: AbortSignal };

/**
 * Sets every option that the SDK would otherwise take from the environment, a profile or instance metadata. So the
 * source of a user never runs with our credentials, endpoint or region. The client does not retry: `withRetries` does.
 */
export function clientFor({ region, endpoint, credentials, allowHosts }: S3Target, retries: RetryPolicy): S3Client {
  return new S3Client({
    region,
    credentials,
    ...(endpoint === undefined ? {} : { endpoint }),
    ignoreConfiguredEndpointUrls: true,
    // Other servers than AWS have one host for all buckets. AWS redirects to the region of the bucket.
    forcePathStyle: endpoint !== undefined,
    followRegionRedirects: endpoint === undefined,
    useFipsEndpoint: false,
    useDualstackEndpoint: false,
    useArnRegion: false,
    disableMultiregionAccessPoints: true,
    disableS3ExpressSessionAuth: true,
    authSchemePreference: ['aws.auth#sigv4'],
    sigv4aSigningRegionSet: [region],
    defaultsMode: 'standard',
    retryMode: 'standard',
    maxAttempts: 1,
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    userAgentAppId: 'ListBackup',
    requestHandler: new LimitedHandler({
      ...safeAgents(allowHosts, { keepAlive: true, maxSockets: 50 }),
      connectionTimeout: Math.min(10_000, retries.idleMs),
      requestTimeout: retries.idleMs,
      throwOnRequestTimeout: true,
      socketTimeout: retries.idleMs,
    }),
  });
}

/**
 * Most bytes of an answer other than the content of an object. A page of the longest keys has 4 MB. Parsed XML takes up
 * to 40 times the memory.
 */
const maxAnswer = 8 * 1024 * 1024;

class AnswerTooLarge extends Error {}

/** The SDK holds a whole answer in memory. Only the content of an object is streamed, and its reader has a limit. */
class LimitedHandler extends NodeHttpHandler {
  override async handle(...args: Parameters<NodeHttpHandler['handle']>): ReturnType<NodeHttpHandler['handle']> {
    const { response } = await super.handle(...args);
    const isContent = args[0].query?.['x-id'] === 'GetObject' && response.statusCode < 300;
    if (response.body instanceof Readable && !isContent) response.body = Readable.from(limited(response.body));
    return { response };
  }
}

async function* limited(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > maxAnswer) throw new AnswerTooLarge();
    yield chunk;
  }
}

const maxTries = 4;
/** High enough for a batch of 1,000 objects on a server that refuses three requests in ten. */
const maxTriesThrottled = 9;
/** If the server asks for a longer pause, the caller gets the problem, to work on something else meanwhile. */
const maxWaitSeconds = 5;

/** Sends a request, with retries if they may help. Honours the pauses the server asks for. @throws SourceProblem */
export async function withRetries<T>(
  { client, retries, closed }: Connection,
  target: 'bucket' | 'object',
  request: (client: S3Client, options: { abortSignal: AbortSignal }) => Promise<T>,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      closed.throwIfAborted();
      return await request(client, { abortSignal: closed });
    } catch (error) {
      if (closed.aborted) throw temporary('unreachable', 'The session with the source was closed.');
      const problem = problemOf(error, target);
      const mayHelp = problem.code === 'throttled' || (problem.code === 'unreachable' && problem.retryable);
      const limit = problem.code === 'throttled' ? maxTriesThrottled : maxTries;
      if (!mayHelp || tried >= limit || (problem.retryAfterSeconds ?? 0) > maxWaitSeconds) throw problem;
      const pause = Math.min(retries.pauseMs * 2 ** (tried - 1), maxWaitSeconds * 1_000) * (0.5 + Math.random());
      await retries.wait(Math.max(pause, (problem.retryAfterSeconds ?? 0) * 1_000));
    }
  }
}

/** A failed request as the SDK reports it. `name`: the error code of the server. `code`: the code of a system error. */
type Failure = { name: string; code: string; status: number; header(name: string): string | undefined };

/** Translates a failure for the user. The result has nothing of the request, so no credentials. */
export function problemOf(error: unknown, target: 'bucket' | 'object'): SourceProblem {
  if (error instanceof SourceProblem) return error;
  if (error instanceof AnswerTooLarge) return outsideLimits();
  if (isRefusedAddress(error)) {
    return new SourceProblem(
      'forbidden',
      'The endpoint is on a private network. The operator of ListBackup can allow it in LISTBACKUP_ALLOW_HOSTS.',
    );
  }
  const failure = failureOf(error);
  const { name, status } = failure;
  if (
    status === 429 ||
    status === 503 ||
    ['SlowDown', 'Throttling', 'ThrottlingException', 'RequestLimitExceeded'].includes(name)
  ) {
    const message = 'The server asks for fewer requests. Try again later, or run fewer jobs on this bucket at once.';
    return temporary('throttled', message, retryAfter(failure.header('retry-after')));
  }
  return (target === 'object' ? objectProblem(failure) : undefined) ?? bucketProblem(failure);
}

function objectProblem({ name, status }: Failure): SourceProblem | undefined {
  if (name === 'NoSuchBucket') return undefined;
  if (status === 404) return new SourceProblem('vanished', 'The object was deleted during the backup.');
  if (status === 412 || status === 416) return changed();
  if (name === 'InvalidObjectState') return new SourceProblem('archived', archivedMessage);
  if (name === 'AccessDenied') {
    return new SourceProblem(
      'forbidden',
      'The access key may not read this object. Grant it s3:GetObject, and kms:Decrypt if it has a KMS key.',
    );
  }
  if (name.startsWith('KMS.'))
    return new SourceProblem(
      'unreadable',
      'The key that encrypts this object cannot be used. Enable it, or exclude the object.',
    );
  return undefined;
}

export const archivedMessage =
  'The object is archived. Restore it at the source first, or move it to a storage class with instant access.';

export function changed(): SourceProblem {
  return temporary('changed', 'The object changed during the backup. The next run backs it up.');
}

export function outsideLimits(): SourceProblem {
  return new SourceProblem(
    'unusable',
    'The server answers with more than S3 allows: too many or too long keys. Check the endpoint, or use another server.',
  );
}

function bucketProblem(failure: Failure): SourceProblem {
  const { name, code, status } = failure;
  if (['InvalidAccessKeyId', 'SignatureDoesNotMatch', 'InvalidToken', 'AuthFailure'].includes(name) || status === 401) {
    return new SourceProblem(
      'forbidden',
      'The server does not accept the access key. Give the source a valid accessKeyId and secretAccessKey.',
    );
  }
  const region = failure.header('x-amz-bucket-region') ?? '';
  if (
    (status >= 300 && status < 400) ||
    ['AuthorizationHeaderMalformed', 'IllegalLocationConstraintException'].includes(name)
  ) {
    const hint = /^[a-z0-9-]{1,40}$/.test(region) ? `\`region\` to ${region}` : 'its `region`';
    return new SourceProblem('unusable', `The bucket is in another region or at another endpoint. Set ${hint}.`);
  }
  if (name === 'RequestTimeTooSkewed') {
    return temporary('unreachable', 'The clocks of ListBackup and of the server differ too much. Correct them.');
  }
  if (status === 403)
    return new SourceProblem('forbidden', 'The access key may not list this bucket. Grant it s3:ListBucket.');
  if (status === 404)
    return new SourceProblem(
      'not-found',
      'The bucket does not exist at this endpoint. Correct `bucket`, `region` or `endpoint`.',
    );
  if (/CERT|SELF_SIGNED|ERR_TLS|UNABLE_TO_VERIFY/.test(code)) {
    return new SourceProblem(
      'unreachable',
      'The certificate of the endpoint is not trusted. Use one from a public certificate authority.',
    );
  }
  if (status >= 400 && status < 500 && name !== 'RequestTimeout') {
    return new SourceProblem(
      'unusable',
      `The server refuses a standard S3 request (${status} ${name}). Check region and endpoint.`,
    );
  }
  const cause = status >= 500 ? `it answered ${status}` : code || name;
  return temporary(
    'unreachable',
    `The server cannot be reached (${cause}). Check region and endpoint, then try again.`,
  );
}

/** Codes come from the server. Only values that look like a code are shown to the user. */
function failureOf(error: unknown): Failure {
  const { name, code, $metadata, $response } = (typeof error === 'object' && error !== null ? error : {}) as {
    [field: string]: unknown;
    $metadata?: { httpStatusCode?: number };
    $response?: { statusCode?: number; headers?: { [name: string]: string } };
  };
  const plain = (value: unknown) => (typeof value === 'string' && /^[A-Za-z0-9_.]{1,64}$/.test(value) ? value : '');
  return {
    name: plain(name),
    code: plain(code),
    status: $response?.statusCode ?? $metadata?.httpStatusCode ?? 0,
    header: (header) => $response?.headers?.[header],
  };
}

/** Seconds from now, from a number or an HTTP date (RFC 9110 §10.2.3). */
function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1_000);
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}
