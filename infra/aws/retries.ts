/** The retry strategy of the SDK's clients. */
import type { DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';

export type Retries = Extract<
  NonNullable<DynamoDBClientConfig['retryStrategy']>,
  { acquireInitialRetryToken: unknown }
>;
type RetryToken = Awaited<ReturnType<Retries['acquireInitialRetryToken']>>;

/** Milliseconds, as in the SDK's standard mode. */
const baseDelay = { throttled: 1000, transient: 50 };
const maxDelay = 20_000;

/**
 * Allows `maxAttempts` for every call, with full jitter between them. The SDK's standard strategy also has a budget for
 * all calls together. Once a long outage has used it up, the first failure of a call is final. Runs that only had to
 * wait would fail. `pauseDivisor`: the divisor of the pauses.
 */
export function retriesWithoutBudget(maxAttempts: number, pauseDivisor = 1): Retries {
  return {
    acquireInitialRetryToken: async () => tokenOf(0, 0),
    async refreshRetryTokenForRetry(token, { errorType, retryAfterHint }) {
      const isTemporary = errorType === 'THROTTLING' || errorType === 'TRANSIENT';
      const attempts = token.getRetryCount() + 1;
      // The SDK drops this error and throws the error of the last attempt.
      if (!isTemporary || attempts >= maxAttempts) throw new Error('No attempts are left.');
      const base = errorType === 'THROTTLING' ? baseDelay.throttled : baseDelay.transient;
      const delay = Math.random() * Math.min(base * 2 ** (attempts - 1), maxDelay);
      const requested = Math.min((retryAfterHint?.getTime() ?? 0) - Date.now(), maxDelay);
      return tokenOf(attempts, Math.max(delay, requested) / pauseDivisor);
    },
    recordSuccess() {},
  };
}

function tokenOf(count: number, delay: number): RetryToken {
  return { getRetryCount: () => count, getRetryDelay: () => delay };
}
