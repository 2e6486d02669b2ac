/** The number of attempts of the SDK's clients and the pauses between them. */
import { expect, it, onTestFinished, vi } from 'vitest';
import { retriesWithoutBudget } from '../../../infra/aws/retries.ts';

type Kind = 'THROTTLING' | 'TRANSIENT' | 'SERVER_ERROR' | 'CLIENT_ERROR';

/** The pauses of a call that fails each time with this kind of error. Milliseconds. */
async function pausesOf(errorType: Kind, hint?: Date): Promise<number[]> {
  const retries = retriesWithoutBudget(4);
  const pauses: number[] = [];
  let token = await retries.acquireInitialRetryToken('');
  for (;;) {
    try {
      token = await retries.refreshRetryTokenForRetry(token, { errorType, ...(hint && { retryAfterHint: hint }) });
    } catch {
      return pauses;
    }
    pauses.push(token.getRetryDelay());
  }
}

it('allows the same number of attempts after many failed calls', async () => {
  for (let call = 0; call < 1000; call++) expect(await pausesOf('TRANSIENT')).toHaveLength(3);
  expect(await pausesOf('THROTTLING')).toHaveLength(3);
});

it('does not repeat a call that was itself wrong', async () => {
  expect(await pausesOf('CLIENT_ERROR')).toEqual([]);
  expect(await pausesOf('SERVER_ERROR')).toEqual([]);
});

it('waits longer each time, longer when throttled, with a different pause for each call', async () => {
  const manyPauses = async (kind: Kind) => Promise.all(Array.from({ length: 200 }, () => pausesOf(kind)));
  for (const [kind, base] of [
    ['TRANSIENT', 50],
    ['THROTTLING', 1000],
  ] as const) {
    const all = await manyPauses(kind);
    for (const turn of [0, 1, 2]) {
      const pauses = all.map((call) => call[turn] ?? 0);
      expect(Math.max(...pauses)).toBeLessThanOrEqual(base * 2 ** turn);
      expect(Math.max(...pauses)).toBeGreaterThan((base * 2 ** turn) / 2);
      expect(new Set(pauses).size).toBeGreaterThan(100);
    }
  }
});

it('waits as long as the answer requests, up to 20 seconds', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const [requested] = await pausesOf('THROTTLING', new Date(Date.now() + 10_000));
  expect(requested).toBe(10_000);
  const [long] = await pausesOf('TRANSIENT', new Date(Date.now() + 3_600_000));
  expect(long).toBe(20_000);
});
