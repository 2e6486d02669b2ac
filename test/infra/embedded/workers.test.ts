import { describe, expect, it, onTestFinished } from 'vitest';
import { Problem } from '../../../domain/errors.ts';
import type { Queue } from '../../../domain/ports.ts';
import { type Handle, startWorkers } from '../../../infra/embedded/workers.ts';
import { openTestPlatform, silent } from '../../support/embedded.ts';

/** Starts workers on a new platform. They stop at the end of the test. */
async function working(
  loops: number,
  handle: Handle,
  around: (queue: Queue) => Queue = (queue) => queue,
  log = silent,
) {
  const { platform, stopReceiving } = await openTestPlatform();
  const stop = startWorkers(around(platform.queue), 'job', loops, handle, log);
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

  it('log the error of a message and receive it again', async () => {
    const lines: string[] = [];
    let calls = 0;
    const twice = countdown(2);
    const { queue } = await working(
      1,
      async () => {
        twice.call();
        if (++calls === 1) throw new Error('not yet');
      },
      undefined,
      { ...silent, error: (message, _fields, error) => void lines.push(`${message}: ${(error as Error).message}`) },
    );
    await queue.send('job', [{ body: {} }]);
    await twice.promise;
    expect(lines).toEqual(['a message failed, will retry: not yet']);
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

  it('handle a message again soon if the queue cannot store that it failed', async () => {
    let calls = 0;
    const done = countdown(1);
    let refusals = 2;
    const { queue, end } = await working(
      1,
      async () => {
        if (++calls < 3) throw new Error('the disk is full');
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
    expect(calls).toBe(3);
    expect(await queue.redrive('job')).toBe(0);
  });

  it('leave a message visible later when they stop in it, without an error', async () => {
    const lines: string[] = [];
    const begun = countdown(1);
    const goOn = countdown(1);
    const { queue, end } = await working(
      1,
      async () => {
        begun.call();
        await goOn.promise;
        throw new Problem('unavailable', 'ListBackup is stopping.');
      },
      undefined,
      { ...silent, error: (message) => void lines.push(message) },
    );
    await queue.send('job', [{ body: {} }]);
    await begun.promise;
    const ended = end();
    goOn.call();
    await ended;
    expect(lines).toEqual([]);
    expect(await queue.redrive('job')).toBe(0);
  });

  it('tell whether other messages wait', async () => {
    const answers: (boolean | undefined)[] = [];
    const done = countdown(2);
    const { queue } = await working(1, async (_body, { othersWait }) => {
      answers.push(await othersWait?.());
      done.call();
    });
    await queue.send('job', [{ body: { n: 1 } }, { body: { n: 2 } }]);
    await done.promise;
    expect(answers).toEqual([true, false]);
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
