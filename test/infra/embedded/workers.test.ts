import { describe, expect, it, onTestFinished } from 'vitest';
import { SourceProblem } from '../../../connectors/connector.ts';
import { Problem } from '../../../domain/errors.ts';
import type { Queue } from '../../../domain/ports.ts';
import { type Handle, startWorkers } from '../../../infra/embedded/workers.ts';
import { maxReceives } from '../../../processors/index.ts';
import { openTestPlatform, silent } from '../../support/embedded.ts';

/** Starts workers on a new platform. They stop at the end of the test. */
async function working(
  loops: number,
  handle: Handle,
  around: (queue: Queue) => Queue = (queue) => queue,
  log = silent,
  options: Parameters<typeof startWorkers>[5] = {},
) {
  const { platform, stopReceiving } = await openTestPlatform();
  const stop = startWorkers(around(platform.queue), 'job', loops, handle, log, options);
  const end = () => {
    stopReceiving();
    return stop();
  };
  onTestFinished(end);
  return { queue: platform.queue, end };
}

/** `promise` resolves once `call` was called `times` times. */
function countdown(times: number) {
  const { promise, resolve } = Promise.withResolvers<void>();
  let remaining = times;
  const call = () => {
    if (--remaining === 0) resolve();
  };
  return { promise, call };
}

describe('workers', () => {
  it('handle several messages at once and acknowledge each', async () => {
    const both = countdown(2);
    const done = countdown(3);
    const { queue, end } = await working(2, async () => {
      both.call();
      await both.promise;
      done.call();
    });
    await queue.send('job', [{ body: { n: 1 } }, { body: { n: 2 } }, { body: { n: 3 } }]);
    await done.promise;
    await end();
    expect(await queue.redrive('job')).toBe(0);
  });

  it('receive a failed message again', async () => {
    const seen: number[] = [];
    const twice = countdown(2);
    const { queue } = await working(1, async (_body, { receives }) => {
      seen.push(receives);
      twice.call();
      if (receives === 1) throw new Error('not yet');
    });
    await queue.send('job', [{ body: {} }]);
    await twice.promise;
    expect(seen).toEqual([1, 2]);
  });

  it('log an error of a message, but not a problem of the source, which has its own line', async () => {
    const lines: string[] = [];
    const twice = countdown(2);
    const { queue } = await working(
      1,
      async (body) => {
        twice.call();
        throw body.source ? new SourceProblem('unreachable', 'Check it.', { retryable: true }) : new Error('a fault');
      },
      undefined,
      { ...silent, error: (message, _fields, error) => void lines.push(`${message}: ${(error as Error).message}`) },
    );
    await queue.send('job', [{ body: { source: true } }, { body: {} }]);
    await twice.promise;
    await expect.poll(() => lines).toEqual(['a message failed, will retry: a fault']);
  });

  it('continue after receiving failed for some time', async () => {
    const done = countdown(1);
    let failures = 2;
    const { queue } = await working(
      1,
      async () => done.call(),
      (real) => ({
        ...real,
        receive: (...asked) =>
          failures-- > 0 ? Promise.reject(new Error('the disk is full')) : real.receive(...asked),
      }),
    );
    await queue.send('job', [{ body: {} }]);
    await done.promise;
    expect(failures).toBe(-1);
  });

  it('handle a failed message again without a new receive if the queue cannot store the failure', async () => {
    const seen: number[] = [];
    const done = countdown(1);
    let refusals = 2;
    const { queue, end } = await working(
      1,
      async (_body, { receives }) => {
        seen.push(receives);
        if (seen.length === 1) throw new Error('the disk is full');
        done.call();
      },
      (real) => ({
        ...real,
        extend: (...asked) => (refusals-- > 0 ? Promise.reject(new Error('the disk is full')) : real.extend(...asked)),
      }),
    );
    await queue.send('job', [{ body: {} }]);
    await done.promise;
    await end();
    expect(seen).toEqual([1, 1]);
  });

  it('handle a message again without a new receive if its work was interrupted', async () => {
    const seen: number[] = [];
    const done = countdown(1);
    const { queue, end } = await working(1, async (_body, { receives }) => {
      seen.push(receives);
      if (seen.length < 3) throw new Problem('unavailable', 'Another source blocked the work.');
      done.call();
    });
    await queue.send('job', [{ body: {} }]);
    await done.promise;
    await end();
    expect(seen).toEqual([1, 1, 1]);
  });

  it('never turn a message into a dead letter because the disk is full', async () => {
    const seen: number[] = [];
    const done = countdown(1);
    const { queue, end } = await working(
      1,
      async (_body, { receives }) => {
        seen.push(receives);
        if (seen.length < 3) throw new Problem('storage-full', 'Free some space.');
        done.call();
      },
      (real) => ({
        ...real,
        receive: async (...asked) =>
          (await real.receive(...asked)).map((message) => ({ ...message, receives: maxReceives })),
      }),
    );
    await queue.send('job', [{ body: {} }]);
    await done.promise;
    await end();
    expect(seen).toEqual([maxReceives, maxReceives, maxReceives]);
  });

  it('give each message the time limit, which may change', async () => {
    let limit = Number.POSITIVE_INFINITY;
    const deadlines = Promise.withResolvers<number[]>();
    const handle: Handle = async (_body, delivery) => {
      const before = delivery.deadline;
      limit = 1000;
      deadlines.resolve([before, delivery.deadline - Date.now()]);
    };
    const { queue } = await working(1, handle, undefined, silent, { limitMs: () => limit });
    await queue.send('job', [{ body: {} }]);
    const [before = 0, after = 0] = await deadlines.promise;
    expect(before).toBe(Number.POSITIVE_INFINITY);
    expect(after).toBeLessThanOrEqual(1000);
  });

  it('set the deadline of current work when they stop, and wait for it', async () => {
    const begun = countdown(1);
    const goOn = countdown(1);
    const deadlines: number[] = [];
    const { queue, end } = await working(1, async (_body, delivery) => {
      deadlines.push(delivery.deadline);
      begun.call();
      await goOn.promise;
      deadlines.push(delivery.deadline);
    });
    await queue.send('job', [{ body: {} }]);
    await begun.promise;
    const ended = end();
    goOn.call();
    await ended;
    expect(deadlines).toEqual([Number.POSITIVE_INFINITY, 0]);
  });
});
