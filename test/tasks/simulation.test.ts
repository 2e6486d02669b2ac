/** A year of simulated time with crashes, lost and repeated messages and two versions: every task ends exactly once. */
import assert from 'node:assert/strict';
import { test } from 'vitest';
import { simulate } from './simulate.ts';

test('every task ends exactly once in a year of crashes, duplicates, lost messages and deployments', async () => {
  for (const seed of [1, 2]) {
    const { groups, endings, results, overQuota, openRecords } = await simulate({ seed, groups: 60, days: 365 });
    for (const group of groups) assert.equal(endings.get(group) ?? 0, 1, `seed ${seed}: ${group}`);
    for (const [result, count] of results) assert.equal(count, 1, `seed ${seed}: ${result}`);
    assert.equal(overQuota, 0);
    assert.equal(openRecords, 0, `seed ${seed}: records of tasks are left`);
  }
});
