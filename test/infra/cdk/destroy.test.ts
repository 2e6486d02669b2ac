import { expect, test } from 'vitest';
import { destroyStage } from '../../../infra/cdk/destroy.ts';

/** A stage where a function writes to a bucket after the first `lateRounds` clearings, so that the removal fails. */
function stageOf(lateRounds: number) {
  const done: string[] = [];
  const clear = async () => void done.push('clear');
  const remove = async () => {
    done.push('remove');
    return lateRounds-- > 0 ? 1 : 0;
  };
  return { done, clear, remove };
}

test('empties and removes again if a function wrote to a bucket in between', async () => {
  const { done, clear, remove } = stageOf(1);
  expect(await destroyStage(clear, remove)).toBe(0);
  expect(done).toEqual(['clear', 'remove', 'clear', 'remove']);
});

test('removes once if that succeeds, and reports a stage that cannot be removed', async () => {
  const easy = stageOf(0);
  expect(await destroyStage(easy.clear, easy.remove)).toBe(0);
  expect(easy.done).toEqual(['clear', 'remove']);
  const stuck = stageOf(9);
  expect(await destroyStage(stuck.clear, stuck.remove)).toBe(1);
  expect(stuck.done).toHaveLength(4);
});
