import { describe, expect, test } from 'vitest';
import { openIntake } from '../../../processors/backup/intake.ts';

const MiB = 1024 * 1024;

/** Asks for room for each; who has it, in order, and how each leaves. */
function ask(sizes: number[]) {
  const intake = openIntake();
  const inside: number[] = [];
  const leave = new Map<number, () => void>();
  for (const [i, size] of sizes.entries()) {
    void intake.enter(size).then((left) => {
      inside.push(i);
      leave.set(i, left);
    });
  }
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return { inside, leave, turn };
}

describe('what is read at a time', () => {
  test('many small files, few large ones, always at least one', async () => {
    const small = ask(Array(100).fill(1000));
    await small.turn();
    expect(small.inside.length).toBe(32);
    const large = ask(Array(100).fill(50 * MiB));
    await large.turn();
    expect(large.inside.length).toBeGreaterThan(0);
    expect(large.inside.length).toBeLessThan(8);
  });

  test('each in turn, a small one not before a large one that came first', async () => {
    const { inside, leave, turn } = ask([...Array(6).fill(6 * MiB), 1, 1]);
    await turn();
    expect(inside).toEqual([0, 1, 2, 3, 4]);
    leave.get(2)?.();
    await turn();
    expect(inside).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });
});
