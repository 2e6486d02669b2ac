import { expect, test } from 'vitest';
import { lazyPort } from '../../../infra/aws/lazy-port.ts';

type Port = { add(a: number, b: number): Promise<number>; count(): Promise<number> };

function counting(fail = 0) {
  const loads = { count: 0 };
  const port = lazyPort<Port>({ add: true, count: true }, async () => {
    loads.count++;
    if (loads.count <= fail) throw new Error('no file');
    let calls = 0;
    return {
      async add(a, b) {
        calls++;
        return a + b;
      },
      count: async () => calls,
    };
  });
  return { port, loads };
}

test('loads at the first call, and once for concurrent calls', async () => {
  const { port, loads } = counting();
  expect(loads.count).toBe(0);
  expect(await Promise.all([port.add(1, 2), port.add(3, 4)])).toEqual([3, 7]);
  expect([await port.count(), loads.count]).toEqual([2, 1]);
});

test('returns an object that can be awaited and spread', async () => {
  const { port } = counting();
  expect(await (await Promise.resolve(port)).add(1, 1)).toBe(2);
  expect(await { ...port }.add(2, 2)).toBe(4);
});

test('loads again at the next call after a failure', async () => {
  const { port } = counting(1);
  await expect(port.count()).rejects.toThrow('no file');
  expect(await port.count()).toBe(0);
});
