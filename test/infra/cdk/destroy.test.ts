import { expect, test } from 'vitest';
import { takeAway } from '../../../infra/cdk/destroy.ts';

/** A stage with that many rounds in which something is written between emptying and removing. */
function stageOf(lateRounds: number) {
  const done: string[] = [];
  const clear = async () => void done.push('clear');
  const remove = async () => {
    done.push('remove');
    return lateRounds-- > 0 ? 1 : 0;
  };
  return { done, clear, remove };
}

test('what works to the last may write once more: then what is left is emptied and removed again, by when nothing works', async () => {
  const { done, clear, remove } = stageOf(1);
  expect(await takeAway(clear, remove)).toBe(0);
  expect(done).toEqual(['clear', 'remove', 'clear', 'remove']);
});

test('what went at once is left alone, and what never goes is said', async () => {
  const easy = stageOf(0);
  expect(await takeAway(easy.clear, easy.remove)).toBe(0);
  expect(easy.done).toEqual(['clear', 'remove']);
  const stuck = stageOf(9);
  expect(await takeAway(stuck.clear, stuck.remove)).toBe(1);
  expect(stuck.done).toHaveLength(4);
});
