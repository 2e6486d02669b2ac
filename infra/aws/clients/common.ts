/** What all of the SDK's clients have in common. */
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { patientRetries } from '../retries.ts';

export type Environment = { [name: string]: string | undefined };

/**
 * Region and credentials come from where the SDK always looks; `AWS_ENDPOINT_URL` points all clients elsewhere. `requestTimeout` in
 * milliseconds; `hurry`: for tests, by how much the pauses between attempts are shorter.
 */
export function common(env: Environment, requestTimeout: number, maxAttempts: number, hurry = 1) {
  const endpoint = env.AWS_ENDPOINT_URL;
  return {
    ...(endpoint ? { endpoint } : {}),
    maxAttempts,
    retryStrategy: patientRetries(maxAttempts, hurry),
    requestHandler: new NodeHttpHandler({
      connectionTimeout: 2000,
      requestTimeout,
      throwOnRequestTimeout: true,
      // An answer that stops half-way is given up too.
      socketTimeout: requestTimeout,
      httpAgent: { keepAlive: true, maxSockets: 64 },
      httpsAgent: { keepAlive: true, maxSockets: 64 },
    }),
  };
}
