import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { runJob } from '../../commands/run-job.ts';
import { account, command, makeWorld, statusOf } from '../faults/world.ts';
import { expectClean } from '../support/check.ts';

it('returns the same run for a repeated command, also after that run and later runs ended', async () => {
  const world = await makeWorld();
  await writeFile(join(world.source, 'a'), 'a');
  const isKnown = async (runId: string) => (await statusOf(world, runId)) !== undefined;
  const request = async (context: ReturnType<typeof command>) => {
    const { id } = await runJob(world.platform, context, world.jobId, isKnown);
    await world.settle();
    return id;
  };
  const [first, second, third] = [command(), command(), command()];
  const succeeded = await request(first);
  await rm(world.source, { recursive: true });
  const failed = await request(second);
  expect([await statusOf(world, succeeded), await statusOf(world, failed)]).toEqual(['succeeded', 'failed']);
  const requests = async () => {
    const ledger = await world.platform.events.ledger(account, { order: 'asc', limit: 1000 });
    return ledger.filter(({ stream }) => stream.includes('/backup-chain/')).length;
  };
  const before = await requests();
  expect(await request(second)).toBe(failed);
  expect(await request(first)).toBe(succeeded);
  expect(await requests()).toBe(before);
  const another = await request(third);
  expect(await request(second)).toBe(failed);
  expect(await statusOf(world, another)).toBe('failed');
  expect(await requests()).toBe(before + 2);
  await expectClean(world.platform);
});
