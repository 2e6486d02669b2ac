import { describe, expect, test } from 'vitest';
import { openIntake } from '../../../processors/backup/intake.ts';

const MiB = 1024 * 1024;

/** Enters with files of these sizes. `inside` lists the admitted ones in order. */
function enterAll(sizes: number[]) {
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

describe('the intake', () => {
  test('admits many small files, few large files, and always at least one', async () => {
    const small = enterAll(Array(100).fill(1000));
    await small.turn();
    expect(small.inside.length).toBe(32);
    const large = enterAll(Array(100).fill(50 * MiB));
    await large.turn();
    expect(large.inside.length).toBeGreaterThan(0);
    expect(large.inside.length).toBeLessThan(8);
  });

  test('admits files in order: a small file waits for a large file before it', async () => {
    const { inside, leave, turn } = enterAll([...Array(6).fill(6 * MiB), 1, 1]);
    await turn();
    expect(inside).toEqual([0, 1, 2, 3, 4]);
    leave.get(2)?.();
    await turn();
    expect(inside).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });
});
