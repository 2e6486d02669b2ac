/**
 * Days of simulated time with crashes, lost, late and repeated messages, clocks that jump, pauses and four versions:
 * every task ends exactly once.
 */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { simulate } from './simulate.ts';

test('every task ends exactly once in days of crashes, lost and late messages, clock jumps and deployments', async () => {
  for (const seed of [1]) {
    const { groups, endings, results, wrongSlots, openRecords } = await simulate({ seed, groups: 60, days: 365 });
    for (const group of groups) assert.equal(endings.get(group) ?? 0, 1, `seed ${seed}: ${group}`);
    for (const [result, count] of results) assert.equal(count, 1, `seed ${seed}: ${result}`);
    assert.equal(wrongSlots, 0, `seed ${seed}: slots below zero or above the quota`);
    assert.equal(openRecords, 0, `seed ${seed}: records of tasks are left`);
  }
});
