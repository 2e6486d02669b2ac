import { expect, test } from 'vitest';
import { inParallel } from '../../domain/parallel.ts';

const turn = () => new Promise(setImmediate);

test('works on each item once, at most `width` at a time, and waits for no batch to end', async () => {
  const [done, running] = [new Set<number>(), new Set<number>()];
  let most = 0;
  const others = Promise.withResolvers<void>();
  await inParallel(4, Array(50).keys(), async (item) => {
    running.add(item);
    most = Math.max(most, running.size);
    // The first item ends after all others.
    await (item === 0 ? others.promise : turn());
    running.delete(item);
    done.add(item);
    if (done.size === 49) others.resolve();
  });
  expect([done.size, most]).toEqual([50, 4]);
});

test('starts nothing after a failure, waits for the work under way and throws the first error', async () => {
  const ended: number[] = [];
  const work = inParallel(3, Array(10).keys(), async (item) => {
    if (item === 1) throw new Error('the first');
    await turn();
    ended.push(item);
    if (item === 2) throw new Error('the second');
  });
  await expect(work).rejects.toThrow('the first');
  expect(ended).toEqual([0, 2]);
});
