/** What the reconcile finds and what it leaves alone, over a home where each follower can be kept from being told. */
import { expect, test } from 'vitest';
import { parseStream } from '../../../domain/event.ts';
import type { JsonObject, StreamNotification } from '../../../domain/ports.ts';
import { type Follower, type ReconcileParts, reconcile } from '../../../infra/aws/reconcile.ts';
import { makeChaos } from '../../../infra/embedded/chaos.ts';
import { beginBuilding } from '../../../projections/engine/generations.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { countingJobs, failing, makeJob, rename, write } from '../../projections/engine/jobs-world.ts';
import { openTestPlatform } from '../../support/embedded.ts';

const jobs = countingJobs(1);
const minute = 60_000;

/** A home whose clock can be set on, a relay that is told of as little as the test likes, and a note of who is woken for what. */
async function makeWorld() {
  let ahead = 0;
  const { platform } = await openTestPlatform({ now: () => Date.now() + ahead });
  const entered = new Map<string, number>();
  const published = new Map<string, number>();
  const woken: { [follower in Follower]: StreamNotification[] } = { relay: [], projections: [] };
  const said: { level: string; message: string; fields: JsonObject }[] = [];
  const note =
    (level: string) =>
    (message: string, fields: JsonObject = {}) =>
      void said.push({ level, message, fields });
  /** Up to where the account's commits are all entered. */
  const headOf = async (account: string) => {
    const all = await platform.events.ledger(account, { order: 'asc', limit: 1000 });
    const open = all.findIndex(({ stream, version }) => version > (entered.get(stream) ?? 0));
    return open < 0 ? all.length : open;
  };

  async function relay(notifications: StreamNotification[]): Promise<void> {
    for (const { stream, version } of notifications) {
      entered.set(stream, Math.max(version, entered.get(stream) ?? 0));
      const { account } = parseStream(stream);
      published.set(account, await headOf(account));
    }
  }
  const parts: ReconcileParts = {
    ...platform,
    log: { info: note('info'), warn: note('warn'), error: note('error'), measure() {} },
    projections: [jobs],
    // A few at a time, whatever was asked for.
    async streamShares({ share, cursor }) {
      const page = await platform.events.streams({ limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      const ours = page.items.filter(
        ({ stream }) => [...stream].reduce((sum, each) => sum + each.charCodeAt(0), 0) % share.of === share.index,
      );
      return { items: ours, next: page.next };
    },
    ledger: {
      reached: async (streams) => new Map([...entered].filter(([stream]) => streams.includes(stream))),
      accounts: (accounts) =>
        Promise.all(
          accounts.map(async (account) => ({
            account,
            head: await headOf(account),
            published: published.get(account) ?? 0,
          })),
        ),
      lacking: async () => 0,
    },
    async wake(follower, notifications) {
      woken[follower].push(...notifications);
      if (follower === 'relay') await relay(notifications);
      else await handleNotifications(platform, [jobs], notifications);
    },
  };
  return {
    ...{ platform, parts, woken, said, relay, entered, published },
    project: (...notifications: StreamNotification[]) => handleNotifications(platform, [jobs], notifications),
    later: (milliseconds: number) => {
      ahead += milliseconds;
    },
  };
}

const sorted = (notifications: StreamNotification[]) =>
  notifications.map(({ stream, version }) => `${stream} ${version}`).sort();

test('exactly what each was not told of is found, and each told exactly that', async () => {
  const { platform, parts, woken, said, relay, project, later } = await makeWorld();
  const chaos = makeChaos(7);
  const appended: StreamNotification[] = [];
  await write(platform, ['acc_1', 'acc_2'], 60, chaos, (notification) => appended.push(notification));
  const heads = [...new Map(appended.map(({ stream, version }) => [stream, version]))].map(([stream, version]) => ({
    stream,
    version,
  }));
  const lost = { relay: heads.filter(() => chaos.chance(0.2)), projections: heads.filter(() => chaos.chance(0.2)) };
  expect(lost.relay.length * lost.projections.length).toBeGreaterThan(0);
  const without = (some: StreamNotification[]) =>
    appended.filter(({ stream }) => !some.some((each) => each.stream === stream));
  await relay(without(lost.relay));
  await project(...without(lost.projections));
  later(11 * minute);
  const { outcome, counts } = await reconcile(parts);
  expect(outcome).toBe('done');
  expect(counts).toEqual({
    ...{
      streams: heads.length,
      accounts: 2,
      missing: lost.relay.length,
      untold: 0,
      behind: { jobs: lost.projections.length },
    },
    ...{ repaired: lost.relay.length + lost.projections.length, left: 0, lacking: 0 },
  });
  expect(sorted(woken.relay)).toEqual(sorted(lost.relay));
  expect(sorted(woken.projections)).toEqual(sorted(lost.projections));
  for (const { stream, version } of heads) expect(await platform.rows.cursor('jobs', stream)).toBe(version);
  expect(said.filter(({ level }) => level === 'error')).toEqual([]);
  expect(said.at(-1)).toMatchObject({ level: 'info', message: 'reconciled', fields: counts });
  // Nothing is left for another.
  const again = await reconcile(parts);
  expect(again.counts).toMatchObject({ streams: heads.length, missing: 0, behind: {}, repaired: 0 });
});

test('what is only under way is left alone: the oldest commit that was not come to counts, not the newest', async () => {
  const { platform, parts, woken, later, relay, project } = await makeWorld();
  const old = await makeJob(platform, 'acc_1');
  const known = await makeJob(platform, 'acc_1');
  await relay([known]);
  await project(known);
  later(9 * minute);
  expect((await reconcile(parts)).counts).toMatchObject({ streams: 2, missing: 0, behind: {} });
  later(2 * minute);
  // Each has just got another commit.
  const [grown, young] = [await rename(platform, 'acc_1', old.jobId), await rename(platform, 'acc_1', known.jobId)];
  expect((await reconcile(parts)).counts).toMatchObject({ missing: 1, behind: { jobs: 1 }, repaired: 2 });
  expect(sorted(woken.relay)).toEqual(sorted([grown]));
  expect(sorted(woken.projections)).toEqual(sorted([grown]));
  expect(await platform.rows.cursor('jobs', young.stream)).toBe(1);
});

test('a stream that stands still is no lag, one with a mark that it got past is', async () => {
  const { platform, parts, woken, later, relay, project } = await makeWorld();
  const [standing, past] = [await makeJob(platform, 'acc_1'), await makeJob(platform, 'acc_1')];
  const renamed = [await rename(platform, 'acc_1', standing.jobId), await rename(platform, 'acc_1', past.jobId)];
  await handleNotifications(platform, [failing(jobs)], renamed);
  const [mark] = (await platform.records.query('parked', { prefix: `jobs ${past.stream}`, limit: 1 })).items;
  await platform.records.write([{ op: 'delete', pk: 'parked', sk: mark?.sk ?? '' }]);
  await project(past, ...renamed);
  if (mark) await platform.records.putMany([mark]);
  const lost = await rename(platform, 'acc_1', past.jobId);
  await relay([...renamed, lost]);
  later(11 * minute);
  expect((await reconcile(parts)).counts).toMatchObject({ missing: 0, behind: { jobs: 1 }, repaired: 1, left: 0 });
  expect(sorted(woken.projections)).toEqual(sorted([lost]));
  expect(await platform.rows.cursor('jobs', standing.stream)).toBe(1);
});

test('the rows that are read are compared: a rebuild comes to all streams by itself', async () => {
  const { platform, parts, woken, later, relay, project } = await makeWorld();
  const made = await makeJob(platform, 'acc_1');
  await relay([made]);
  await project(made);
  await beginBuilding(platform, jobs, true);
  later(11 * minute);
  expect((await reconcile(parts)).counts).toMatchObject({ behind: {} });
  expect(woken.projections).toEqual([]);
});

test('what is in the ledger and the bus was never told of is told', async () => {
  const { platform, parts, woken, later, relay, project, published } = await makeWorld();
  const made = [await makeJob(platform, 'acc_1'), await makeJob(platform, 'acc_1'), await makeJob(platform, 'acc_2')];
  await relay(made);
  await project(...made);
  published.set('acc_1', 1);
  published.set('acc_2', 0);
  expect((await reconcile(parts)).counts).toMatchObject({ untold: 0 });
  later(11 * minute);
  expect((await reconcile(parts)).counts).toMatchObject({ accounts: 2, missing: 0, untold: 2, repaired: 2, left: 0 });
  expect(sorted(woken.relay)).toEqual(sorted([made[1], made[2]].filter((each) => each !== undefined)));
  expect([published.get('acc_1'), published.get('acc_2')]).toEqual([2, 1]);
});

test('what came into the ledger by this and could not be told to the bus is not taken for mended', async () => {
  const { platform, parts, later, entered, project } = await makeWorld();
  const made = await makeJob(platform, 'acc_1');
  await project(made);
  later(11 * minute);
  const wake: ReconcileParts['wake'] = async (_, notifications) => {
    for (const { stream, version } of notifications) entered.set(stream, version);
  };
  expect((await reconcile({ ...parts, wake })).counts).toMatchObject({ missing: 1, untold: 0, repaired: 0, left: 1 });
});

test('what could not be mended is said, and does not end the walk', async () => {
  const { platform, parts, said, later } = await makeWorld();
  for (let i = 0; i < 10; i++) await makeJob(platform, 'acc_1');
  later(11 * minute);
  const useless = { ...parts, wake: async () => {} };
  const { outcome, counts } = await reconcile(useless);
  expect([outcome, counts]).toMatchObject([
    'done',
    { streams: 10, missing: 10, behind: { jobs: 10 }, repaired: 0, left: 20 },
  ]);
  expect(said).toContainEqual(
    expect.objectContaining({ level: 'error', message: expect.stringContaining('could not mend') }),
  );
});

test('a follower that fails when woken is not asked again by this visit, the other is', async () => {
  const { platform, parts, woken, said, later } = await makeWorld();
  for (let i = 0; i < 10; i++) await makeJob(platform, 'acc_1');
  later(11 * minute);
  let asked = 0;
  const wake: ReconcileParts['wake'] = async (follower, notifications) => {
    if (follower === 'projections') return parts.wake(follower, notifications);
    asked++;
    throw new Error('throttled');
  };
  const { outcome, counts } = await reconcile({ ...parts, wake });
  expect([outcome, asked, woken.projections.length]).toEqual(['done', 1, 10]);
  expect(counts).toMatchObject({ missing: 10, behind: { jobs: 10 }, repaired: 10, left: 10 });
  expect(said).toContainEqual(expect.objectContaining({ level: 'error', fields: { follower: 'relay' } }));
});

test('entries that were taken away are told of as an error, account by account', async () => {
  const { platform, parts, said, relay, project } = await makeWorld();
  const made = [await makeJob(platform, 'acc_1'), await makeJob(platform, 'acc_2')];
  await relay(made);
  await project(...made);
  const ledger = { ...parts.ledger, lacking: async (account: string) => (account === 'acc_2' ? 3 : 0) };
  expect((await reconcile({ ...parts, ledger })).counts).toMatchObject({
    accounts: 2,
    lacking: 3,
    repaired: 0,
    left: 0,
  });
  expect(said.filter(({ level }) => level === 'error')).toMatchObject([
    { fields: { account: 'acc_2', numbers: 3, head: 1 } },
  ]);
});

test('a walk that is stopped is gone on with, and each stream looked at once', async () => {
  const { platform, parts, later } = await makeWorld();
  const made: StreamNotification[] = [];
  for (let i = 0; i < 20; i++) made.push(await makeJob(platform, 'acc_1'));
  later(11 * minute);
  let visits = 0;
  let last = await reconcile(parts, { stop: () => true });
  expect(last).toMatchObject({ outcome: 'stopped', counts: { streams: 0 } });
  while (last.outcome === 'stopped') {
    let rounds = 0;
    last = await reconcile(parts, { nightly: true, stop: () => ++rounds > 2 });
    visits++;
  }
  expect(visits).toBeGreaterThan(2);
  expect(last).toMatchObject({ outcome: 'done', counts: { streams: 20, missing: 20, behind: { jobs: 20 }, left: 0 } });
  for (const { stream } of made) expect(await platform.rows.cursor('jobs', stream)).toBe(1);
});

test('the nightly visit does nothing once its night is done; by hand, and the next night, it begins anew', async () => {
  const { platform, parts, later } = await makeWorld();
  await makeJob(platform, 'acc_1');
  const visit = (nightly: boolean) => reconcile(parts, { nightly }).then(({ outcome }) => outcome);
  expect(await visit(true)).toBe('done');
  await makeJob(platform, 'acc_1');
  later(11 * 60 * minute);
  expect(await reconcile(parts, { nightly: true })).toMatchObject({ outcome: 'not-due', counts: { streams: 1 } });
  expect(await reconcile(parts)).toMatchObject({ outcome: 'done', counts: { streams: 2 } });
  later(11 * 60 * minute);
  expect(await visit(true)).toBe('not-due');
  later(2 * 60 * minute);
  expect(await visit(true)).toBe('done');
});

test('of several at once one walks to the end, and counts all once', async () => {
  const { platform, parts, later } = await makeWorld();
  for (let i = 0; i < 30; i++) await makeJob(platform, 'acc_1');
  later(11 * minute);
  const all = await Promise.all(Array.from({ length: 4 }, () => reconcile(parts)));
  const ended = all.filter(({ outcome }) => outcome === 'done');
  expect(all.map(({ outcome }) => outcome).sort()).toEqual(['done', 'superseded', 'superseded', 'superseded']);
  expect(ended[0]?.counts.streams).toBe(30);
});
