/** How the SDK's clients try again. */
import type { DynamoDBClientConfig } from '@aws-sdk/client-dynamodb';

export type Retries = Extract<
  NonNullable<DynamoDBClientConfig['retryStrategy']>,
  { acquireInitialRetryToken: unknown }
>;
type RetryToken = Awaited<ReturnType<Retries['acquireInitialRetryToken']>>;

/** The SDK's own (base delays of its standard mode), in milliseconds; what is throttled needs longer. */
const base = { throttled: 1000, passing: 50 };
const longest = 20_000;

/**
 * So many attempts for every call, with full jitter between them, however many other calls have failed. The SDK's standard strategy has a
 * budget besides, and once that is spent gives up at the first failure: a long time in which a quarter of all calls fail would end runs that
 * only needed patience. `hurry`: divides the pauses.
 */
export function patientRetries(maxAttempts: number, hurry = 1): Retries {
  return {
    acquireInitialRetryToken: async () => tokenOf(0, 0),
    async refreshRetryTokenForRetry(token, { errorType, retryAfterHint }) {
      const passes = errorType === 'THROTTLING' || errorType === 'TRANSIENT';
      const tried = token.getRetryCount() + 1;
      // The caller throws what the last attempt threw.
      if (!passes || tried >= maxAttempts) throw new Error('no more attempts');
      const most = Math.min((errorType === 'THROTTLING' ? base.throttled : base.passing) * 2 ** (tried - 1), longest);
      const asked = Math.min((retryAfterHint?.getTime() ?? 0) - Date.now(), longest);
      return tokenOf(tried, Math.max(Math.random() * most, asked) / hurry);
    },
    recordSuccess() {},
  };
}

function tokenOf(count: number, delay: number): RetryToken {
  return { getRetryCount: () => count, getRetryDelay: () => delay };
}
