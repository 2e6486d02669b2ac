/** A client for somebody else's bucket: nothing of our own environment in it, and its errors as the user should read them. */
import { setTimeout } from 'node:timers/promises';
import { S3Client } from '@aws-sdk/client-s3';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { SourceProblem } from './connector.ts';
import { isRefusedAddress, safeAgents } from './safe-agent.ts';

export type S3Target = {
  region: string;
  /** undefined: AWS itself. */
  endpoint: string | undefined;
  credentials: { accessKeyId: string; secretAccessKey: string };
  allowHosts: readonly string[];
};

/** `idleMs`: silence after which a connection is given up. `pauseMs`: the first pause before another try, doubled from there. */
export type Patience = { idleMs: number; pauseMs: number; wait(ms: number): Promise<unknown> };

export const usualPatience: Patience = { idleMs: 30_000, pauseMs: 200, wait: (ms) => setTimeout(ms) };

/** A client as a session holds it. */
export type Link = { client: S3Client; patience: Patience; closed: AbortSignal };

/**
 * Every setting that the SDK would look up in the environment, a profile or the machine's metadata is given here, so that a user's
 * source never runs with our credentials, endpoint or region. It does not retry: `persist` does.
 */
export function clientFor({ region, endpoint, credentials, allowHosts }: S3Target, patience: Patience): S3Client {
  return new S3Client({
    region,
    credentials,
    ...(endpoint === undefined ? {} : { endpoint }),
    ignoreConfiguredEndpointUrls: true,
    // A server of one's own has one address for all buckets; AWS moves buckets to their region's.
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
    requestHandler: new NodeHttpHandler({
      ...safeAgents(allowHosts, { keepAlive: true, maxSockets: 50 }),
      connectionTimeout: Math.min(10_000, patience.idleMs),
      requestTimeout: patience.idleMs,
      throwOnRequestTimeout: true,
      socketTimeout: patience.idleMs,
    }),
  });
}

const tries = 4;
/** Of a batch of a thousand objects none may meet as many refusals in a row, where a server refuses three requests in ten. */
const triesThrottled = 9;
/** Longer waits are left to whoever called: it has other things to do meanwhile. */
const longestWaitSeconds = 5;

/** The answer, asking some times where that may help and waiting as long as the server asks for. @throws SourceProblem */
export async function persist<T>(
  { client, patience, closed }: Link,
  about: 'bucket' | 'object',
  ask: (client: S3Client, options: { abortSignal: AbortSignal }) => Promise<T>,
): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      closed.throwIfAborted();
      return await ask(client, { abortSignal: closed });
    } catch (error) {
      if (closed.aborted)
        throw new SourceProblem('unreachable', 'The session with the source was closed.', { retryable: true });
      const problem = problemOf(error, about);
      const worthAnother = problem.code === 'throttled' || (problem.code === 'unreachable' && problem.retryable);
      const most = problem.code === 'throttled' ? triesThrottled : tries;
      if (!worthAnother || tried >= most || (problem.retryAfterSeconds ?? 0) > longestWaitSeconds) throw problem;
      const pause = Math.min(patience.pauseMs * 2 ** (tried - 1), longestWaitSeconds * 1_000) * (0.5 + Math.random());
      await patience.wait(Math.max(pause, (problem.retryAfterSeconds ?? 0) * 1_000));
    }
  }
}

/** What the SDK tells of a failure: the server's code, or a system error's; the answer's status and headers. */
type Failure = { name: string; code: string; status: number; header(name: string): string | undefined };

/** The failure as the user should read it: nothing of the request is in it, so no credentials either. */
export function problemOf(error: unknown, about: 'bucket' | 'object'): SourceProblem {
  if (error instanceof SourceProblem) return error;
  if (isRefusedAddress(error)) {
    return new SourceProblem(
      'forbidden',
      'The endpoint is on a private network. Whoever runs ListBackup can allow it in LISTBACKUP_ALLOW_HOSTS.',
    );
  }
  const failure = failureOf(error);
  const { name, status } = failure;
  if (
    status === 429 ||
    status === 503 ||
    ['SlowDown', 'Throttling', 'ThrottlingException', 'RequestLimitExceeded'].includes(name)
  ) {
    const seconds = retryAfter(failure.header('retry-after'));
    return new SourceProblem(
      'throttled',
      'The server asks for a pause. Try again later, or run fewer jobs on this bucket at once.',
      {
        retryable: true,
        ...(seconds === undefined ? {} : { retryAfterSeconds: seconds }),
      },
    );
  }
  return (about === 'object' ? objectProblem(failure) : undefined) ?? bucketProblem(failure);
}

function objectProblem({ name, status }: Failure): SourceProblem | undefined {
  if (name === 'NoSuchBucket') return undefined;
  if (status === 404) return new SourceProblem('vanished', 'The object is no longer there.');
  if (status === 412 || status === 416) return changed();
  if (name === 'InvalidObjectState') return new SourceProblem('archived', archivedMessage);
  if (name === 'AccessDenied') {
    return new SourceProblem(
      'forbidden',
      'The access key may not read this object: grant it s3:GetObject, and kms:Decrypt where a key of yours encrypts it.',
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
  'It is in an archive. Restore it at the source first, or move it to a storage class that can be read at once.';

export function changed(): SourceProblem {
  return new SourceProblem('changed', 'The object changed while it was being backed up.', { retryable: true });
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
    return new SourceProblem('unusable', `The bucket is in another region, or at another endpoint. Set ${hint}.`);
  }
  if (name === 'RequestTimeTooSkewed') {
    return new SourceProblem('unreachable', 'Our clock and the server’s differ too much. Correct them.', {
      retryable: true,
    });
  }
  if (status === 403)
    return new SourceProblem('forbidden', 'The access key may not list this bucket: grant it s3:ListBucket.');
  if (status === 404)
    return new SourceProblem(
      'not-found',
      'There is no such bucket at this endpoint. Correct `bucket`, `region` or `endpoint`.',
    );
  if (/CERT|SELF_SIGNED|ERR_TLS|UNABLE_TO_VERIFY/.test(code)) {
    return new SourceProblem(
      'unreachable',
      'The endpoint’s certificate cannot be trusted. Give it one from a public authority.',
    );
  }
  if (status >= 400 && status < 500 && name !== 'RequestTimeout') {
    return new SourceProblem('unusable', `The server refuses what every S3 server should answer (${status} ${name}).`);
  }
  const told = status >= 500 ? `it answered ${status}` : code || name;
  return new SourceProblem(
    'unreachable',
    `The server cannot be reached just now (${told}). Check the endpoint, and try again.`,
    {
      retryable: true,
    },
  );
}

/** Codes come from the other side: only what looks like one is repeated. */
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

/** Seconds from now, of a number or an HTTP date (RFC 9110, 10.2.3). */
function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const seconds = /^\d+$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1_000);
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}
