/** Settings that all clients of the SDK share. */
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { retriesWithoutBudget } from '../retries.ts';

export type Environment = { [name: string]: string | undefined };

/**
 * Region and credentials come from the SDK's usual sources. `AWS_ENDPOINT_URL` sets another endpoint for all clients.
 *
 * `requestTimeout`: milliseconds. `pauseDivisor`: for tests, the divisor of the pauses between attempts.
 */
export function common(env: Environment, requestTimeout: number, maxAttempts: number, pauseDivisor = 1) {
  const endpoint = env.AWS_ENDPOINT_URL;
  return {
    ...(endpoint ? { endpoint } : {}),
    maxAttempts,
    retryStrategy: retriesWithoutBudget(maxAttempts, pauseDivisor),
    requestHandler: new NodeHttpHandler({
      connectionTimeout: 2000,
      requestTimeout,
      throwOnRequestTimeout: true,
      // Ends an answer that stalls in the middle, which `requestTimeout` does not.
      socketTimeout: requestTimeout,
      httpAgent: { keepAlive: true, maxSockets: 64 },
      httpsAgent: { keepAlive: true, maxSockets: 64 },
    }),
  };
}
