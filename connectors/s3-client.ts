/** An S3 client for the bucket of a user: uses nothing of our environment, and turns errors into SourceProblems. */
import { Readable } from 'node:stream';
import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler, type NodeHttpHandlerOptions } from '@smithy/node-http-handler';
import { SourceProblem, temporary } from './connector.ts';
import { durationOf, paced, type S3Limits, TooSlow } from './s3-limits.ts';
import { isRefusedAddress, safeAgents } from './safe-agent.ts';

export type S3Target = {
  region: string;
  /** Undefined: AWS. */
  endpoint: string | undefined;
  credentials: { accessKeyId: string; secretAccessKey: string };
  allowHosts: readonly string[];
};

/** The client of one session, for one call. `stop` ends its requests with its reason. */
export type Connection = { client: S3Client; limits: S3Limits; stop: AbortSignal };

/**
 * Sets every option that the SDK would otherwise take from the environment, a profile or instance metadata. So the
 * source of a user never runs with our credentials, endpoint or region. The client does not retry: `withRetries` does.
 */
export function clientFor({ region, endpoint, credentials, allowHosts }: S3Target, limits: S3Limits): S3Client {
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
    requestHandler: new LimitedHandler(limits, {
      ...safeAgents(allowHosts, { keepAlive: true, maxSockets: 50 }),
      connectionTimeout: Math.min(10_000, limits.answerMs),
      // `LimitedHandler` has limits of its own.
      requestTimeout: 0,
      socketTimeout: 0,
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
  readonly #limits: S3Limits;

  constructor(limits: S3Limits, options: NodeHttpHandlerOptions) {
    super(options);
    this.#limits = limits;
  }

  override async handle(...[request, options]: HandleArgs): ReturnType<NodeHttpHandler['handle']> {
    const stop = options?.abortSignal as AbortSignal | undefined;
    const response = await this.#answer(request, options, stop);
    const isContent = request.query?.['x-id'] === 'GetObject' && response.statusCode < 300;
    if (response.body instanceof Readable && !isContent)
      response.body = Readable.from(limited(paced(response.body, this.#limits, stop)));
    return { response };
  }

  async #answer(request: HandleArgs[0], options: HandleArgs[1], stop: AbortSignal | undefined) {
    const { answerMs } = this.#limits;
    const over = new AbortController();
    const onStop = () => over.abort(stop?.reason);
    const late = new TooSlow(`The server did not begin to answer within ${durationOf(answerMs)}.`);
    const timer = setTimeout(() => over.abort(late), answerMs);
    stop?.addEventListener('abort', onStop);
    if (stop?.aborted) onStop();
    try {
      return (await super.handle(request, { ...options, abortSignal: over.signal })).response;
    } catch (error) {
      over.signal.throwIfAborted();
      throw error;
    } finally {
      clearTimeout(timer);
      stop?.removeEventListener('abort', onStop);
    }
  }
}

type HandleArgs = Parameters<NodeHttpHandler['handle']>;

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
/** A silent server takes the whole time of a try. */
const maxTriesSlow = 2;
/** If the server asks for a longer pause, the caller gets the problem, to work on something else meanwhile. */
const maxWaitSeconds = 5;

/**
 * Sends a request, with retries if they may help. Honours the pauses the server asks for.
 * @throws SourceProblem, and the reason of `stop`
 */
export async function withRetries<T>(
  { client, limits, stop }: Connection,
  target: 'bucket' | 'object',
  request: (client: S3Client, options: { abortSignal: AbortSignal }) => Promise<T>,
): Promise<T> {
  stop.throwIfAborted();
  const over = new AbortController();
  const onStop = () => over.abort(stop.reason);
  const late = new TooSlow(`The server did not complete an answer within ${durationOf(limits.callMs)}.`);
  const timer = setTimeout(() => over.abort(late), limits.callMs);
  stop.addEventListener('abort', onStop);
  try {
    for (let tried = 1; ; tried++) {
      try {
        return await request(client, { abortSignal: over.signal });
      } catch (error) {
        over.signal.throwIfAborted();
        const pause = pauseBefore(tried, problemOf(error, target), limits);
        await limits.wait(pause, over.signal).catch(() => over.signal.throwIfAborted());
      }
    }
  } finally {
    clearTimeout(timer);
    stop.removeEventListener('abort', onStop);
  }
}

/** The pause before the next try (ms). @throws the problem, if another try would not help */
function pauseBefore(tried: number, problem: SourceProblem, { pauseMs }: S3Limits): number {
  const { code, retryable, retryAfterSeconds = 0 } = problem;
  const mayHelp = code === 'throttled' || (code === 'unreachable' && retryable);
  const most = code === 'throttled' ? maxTriesThrottled : problem instanceof TooSlow ? maxTriesSlow : maxTries;
  if (!mayHelp || tried >= most || retryAfterSeconds > maxWaitSeconds) throw problem;
  const pause = Math.min(pauseMs * 2 ** (tried - 1), maxWaitSeconds * 1_000) * (0.5 + Math.random());
  return Math.max(pause, retryAfterSeconds * 1_000);
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
