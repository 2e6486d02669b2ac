/** When the SDK's clients try again, and how long they wait. */
import { expect, it, onTestFinished, vi } from 'vitest';
import { patientRetries } from '../../../infra/aws/retries.ts';

type Kind = 'THROTTLING' | 'TRANSIENT' | 'SERVER_ERROR' | 'CLIENT_ERROR';

/** The pauses, in milliseconds, of a call that fails so each time. */
async function pausesOf(errorType: Kind, hint?: Date): Promise<number[]> {
  const retries = patientRetries(4);
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

it('tries as often as it is told, whatever came before', async () => {
  for (let call = 0; call < 1000; call++) expect(await pausesOf('TRANSIENT')).toHaveLength(3);
  expect(await pausesOf('THROTTLING')).toHaveLength(3);
});

it('does not try again what was wrong with the call', async () => {
  expect(await pausesOf('CLIENT_ERROR')).toEqual([]);
  expect(await pausesOf('SERVER_ERROR')).toEqual([]);
});

it('waits longer each time, longer where it is throttled, and never all clients the same time', async () => {
  const many = async (kind: Kind) => Promise.all(Array.from({ length: 200 }, () => pausesOf(kind)));
  for (const [kind, base] of [
    ['TRANSIENT', 50],
    ['THROTTLING', 1000],
  ] as const) {
    const all = await many(kind);
    for (const turn of [0, 1, 2]) {
      const pauses = all.map((each) => each[turn] ?? 0);
      expect(Math.max(...pauses)).toBeLessThanOrEqual(base * 2 ** turn);
      expect(Math.max(...pauses)).toBeGreaterThan((base * 2 ** turn) / 2);
      expect(new Set(pauses).size).toBeGreaterThan(100);
    }
  }
});

it('waits as long as it is asked to, up to 20 seconds', async () => {
  vi.useFakeTimers({ toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  const [asked] = await pausesOf('THROTTLING', new Date(Date.now() + 10_000));
  expect(asked).toBe(10_000);
  const [long] = await pausesOf('TRANSIENT', new Date(Date.now() + 3_600_000));
  expect(long).toBe(20_000);
});
