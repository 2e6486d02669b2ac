/** Many repeated deliveries on the AWS ports. `LISTBACKUP_TIMES=100` makes ten times the usual number. */
import { expect, it } from 'vitest';
import { routes } from '../../api/routes/index.ts';
import { makeChaos } from '../../infra/embedded/chaos.ts';
import { listJobs } from '../../projections/jobs.ts';
import { appOver, as } from '../support/api.ts';
import { expectClean } from '../support/check.ts';
import { makeAwsWorld } from './aws-world.ts';
import {
  deliverRepeatedly,
  everyMessage,
  everyType,
  expectOneOfEach,
  expectRowsUnchanged,
} from './repeated-deliveries.ts';
import { sameKey } from './same-key.ts';
import { account, makeWorld, pictureOf } from './world.ts';

const times = Number(process.env.LISTBACKUP_TIMES ?? 10);
const patience = 60_000 + times * 20_000;

it('a message delivered many times has one effect and one event, and repeated notifications change no row', {
  timeout: patience,
}, async () => {
  const [calm, world] = [await makeWorld(), await makeAwsWorld(1)];
  await everyMessage(calm, calm.handle);
  const { handle, seen } = deliverRepeatedly(world.handle, times, 10);
  await everyMessage(world, handle);
  expect(world.failures).toEqual([]);
  expect(Object.keys(seen).sort()).toEqual(everyType);
  await expectOneOfEach(world.calm);
  expect(await pictureOf({ ...world, platform: world.calm })).toEqual(await pictureOf(calm));
  await expectRowsUnchanged(world.calm, makeChaos(1), times, 10);
  await expectClean(world.calm, { deployment: { ...world.deployment, platform: world.calm } });
});

it('creates one job from many concurrent requests with one key', { timeout: patience }, async () => {
  const world = await makeAwsWorld(1);
  const app = await appOver(world.platform, { deployment: 'aws', routes });
  const call = await as({ app, platform: world.platform }, { userId: 'usr_test', accountId: account, role: 'owner' });
  const { id } = await sameKey(
    async (url, payload, key) => {
      const answer = await call({ method: 'POST', url, payload, headers: { 'idempotency-key': key } });
      return { status: answer.statusCode, body: answer.json() };
    },
    world.sourceId,
    10 * times,
  );
  await world.settle();
  expect((await listJobs(world.calm, account, { limit: 100 })).items.map((job) => job.id).sort()).toEqual(
    [id, world.jobId].sort(),
  );
  await expectClean(world.calm);
});
