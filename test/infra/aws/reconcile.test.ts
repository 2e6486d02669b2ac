/** The findings of the reconcile, on a self-hosted platform whose consumers receive only chosen notifications. */
import { expect, test } from 'vitest';
import { parseStream } from '../../../domain/event.ts';
import type { JsonObject, StreamNotification } from '../../../domain/ports.ts';
import { type Consumer, type ReconcileParts, reconcile } from '../../../infra/aws/reconcile.ts';
import { makeChaos } from '../../../infra/embedded/chaos.ts';
import { beginBuilding } from '../../../projections/engine/generations.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { countingJobs, failing, makeJob, rename, write } from '../../projections/engine/jobs-world.ts';
import { openTestPlatform } from '../../support/embedded.ts';

const jobs = countingJobs(1);
const minute = 60_000;

/** A platform with a clock that can be advanced, a simulated relay, and a record of all notifications by consumer. */
async function makeWorld() {
  let ahead = 0;
  const { platform } = await openTestPlatform({ now: () => Date.now() + ahead });
  const entered = new Map<string, number>();
  const published = new Map<string, number>();
  const notified: { [consumer in Consumer]: StreamNotification[] } = { relay: [], projections: [] };
  const logged: { level: string; message: string; fields: JsonObject }[] = [];
  const collect =
    (level: string) =>
    (message: string, fields: JsonObject = {}) =>
      void logged.push({ level, message, fields });
  /** The sequence number up to which all commits of the account are entered. */
  const headOf = async (account: string) => {
    const entries = await platform.events.ledger(account, { order: 'asc', limit: 1000 });
    const missing = entries.findIndex(({ stream, version }) => version > (entered.get(stream) ?? 0));
    return missing < 0 ? entries.length : missing;
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
    log: { info: collect('info'), warn: collect('warn'), error: collect('error'), measure() {} },
    projections: [jobs],
    // Small pages, whatever the limit, so that a walk takes several rounds.
    async streamShares({ share, cursor }) {
      const page = await platform.events.streams({ limit: 3, ...(cursor === undefined ? {} : { cursor }) });
      const ours = page.items.filter(
        ({ stream }) =>
          [...stream].reduce((sum, character) => sum + character.charCodeAt(0), 0) % share.of === share.index,
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
      ledgerGaps: async () => 0,
    },
    async notify(consumer, notifications) {
      notified[consumer].push(...notifications);
      if (consumer === 'relay') await relay(notifications);
      else await handleNotifications(platform, [jobs], notifications);
    },
  };
  return {
    ...{ platform, parts, notified, logged, relay, entered, published },
    project: (...notifications: StreamNotification[]) => handleNotifications(platform, [jobs], notifications),
    later: (milliseconds: number) => {
      ahead += milliseconds;
    },
  };
}

const sorted = (notifications: StreamNotification[]) =>
  notifications.map(({ stream, version }) => `${stream} ${version}`).sort();

test('finds exactly the lost notifications and sends each to the consumer that lacks it', async () => {
  const { platform, parts, notified, logged, relay, project, later } = await makeWorld();
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
    appended.filter(({ stream }) => !some.some((lost) => lost.stream === stream));
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
      unpublished: 0,
      behind: { jobs: lost.projections.length },
    },
    ...{ repaired: lost.relay.length + lost.projections.length, notRepaired: 0, ledgerGaps: 0 },
  });
  expect(sorted(notified.relay)).toEqual(sorted(lost.relay));
  expect(sorted(notified.projections)).toEqual(sorted(lost.projections));
  for (const { stream, version } of heads) expect(await platform.rows.cursor('jobs', stream)).toBe(version);
  expect(logged.filter(({ level }) => level === 'error')).toEqual([]);
  expect(logged.at(-1)).toMatchObject({ level: 'info', message: 'reconciled', fields: counts });
  // A second walk finds nothing.
  const again = await reconcile(parts);
  expect(again.counts).toMatchObject({ streams: heads.length, missing: 0, behind: {}, repaired: 0 });
});

test('ignores commits in flight: the age of the oldest missing commit counts, not of the newest', async () => {
  const { platform, parts, notified, later, relay, project } = await makeWorld();
  const old = await makeJob(platform, 'acc_1');
  const known = await makeJob(platform, 'acc_1');
  await relay([known]);
  await project(known);
  later(9 * minute);
  expect((await reconcile(parts)).counts).toMatchObject({ streams: 2, missing: 0, behind: {} });
  later(2 * minute);
  // Each stream has a new commit.
  const [grown, young] = [await rename(platform, 'acc_1', old.jobId), await rename(platform, 'acc_1', known.jobId)];
  expect((await reconcile(parts)).counts).toMatchObject({ missing: 1, behind: { jobs: 1 }, repaired: 2 });
  expect(sorted(notified.relay)).toEqual(sorted([grown]));
  expect(sorted(notified.projections)).toEqual(sorted([grown]));
  expect(await platform.rows.cursor('jobs', young.stream)).toBe(1);
});

test('does not count a parked stream as a lag, but a stream that continued after it was parked', async () => {
  const { platform, parts, notified, later, relay, project } = await makeWorld();
  const [parked, resumed] = [await makeJob(platform, 'acc_1'), await makeJob(platform, 'acc_1')];
  const renamed = [await rename(platform, 'acc_1', parked.jobId), await rename(platform, 'acc_1', resumed.jobId)];
  await handleNotifications(platform, [failing(jobs)], renamed);
  const [parkedRecord] = (await platform.records.query('parked', { prefix: `jobs ${resumed.stream}`, limit: 1 })).items;
  await platform.records.write([{ op: 'delete', pk: 'parked', sk: parkedRecord?.sk ?? '' }]);
  await project(resumed, ...renamed);
  if (parkedRecord) await platform.records.putMany([parkedRecord]);
  const lost = await rename(platform, 'acc_1', resumed.jobId);
  await relay([...renamed, lost]);
  later(11 * minute);
  expect((await reconcile(parts)).counts).toMatchObject({
    missing: 0,
    behind: { jobs: 1 },
    repaired: 1,
    notRepaired: 0,
  });
  expect(sorted(notified.projections)).toEqual(sorted([lost]));
  expect(await platform.rows.cursor('jobs', parked.stream)).toBe(1);
});

test('compares only the generation in use: a rebuild reads all streams anyway', async () => {
  const { platform, parts, notified, later, relay, project } = await makeWorld();
  const created = await makeJob(platform, 'acc_1');
  await relay([created]);
  await project(created);
  await beginBuilding(platform, jobs, true);
  later(11 * minute);
  expect((await reconcile(parts)).counts).toMatchObject({ behind: {} });
  expect(notified.projections).toEqual([]);
});

test('publishes ledger entries that never reached the bus', async () => {
  const { platform, parts, notified, later, relay, project, published } = await makeWorld();
  const created = [
    await makeJob(platform, 'acc_1'),
    await makeJob(platform, 'acc_1'),
    await makeJob(platform, 'acc_2'),
  ];
  await relay(created);
  await project(...created);
  published.set('acc_1', 1);
  published.set('acc_2', 0);
  expect((await reconcile(parts)).counts).toMatchObject({ unpublished: 0 });
  later(11 * minute);
  expect((await reconcile(parts)).counts).toMatchObject({
    accounts: 2,
    missing: 0,
    unpublished: 2,
    repaired: 2,
    notRepaired: 0,
  });
  expect(sorted(notified.relay)).toEqual(
    sorted([created[1], created[2]].filter((notification) => notification !== undefined)),
  );
  expect([published.get('acc_1'), published.get('acc_2')]).toEqual([2, 1]);
});

test('does not count a commit as repaired that entered the ledger but not the bus', async () => {
  const { platform, parts, later, entered, project } = await makeWorld();
  const created = await makeJob(platform, 'acc_1');
  await project(created);
  later(11 * minute);
  const notify: ReconcileParts['notify'] = async (_, notifications) => {
    for (const { stream, version } of notifications) entered.set(stream, version);
  };
  expect((await reconcile({ ...parts, notify })).counts).toMatchObject({
    missing: 1,
    unpublished: 0,
    repaired: 0,
    notRepaired: 1,
  });
});

test('logs lags that it cannot repair and continues the walk', async () => {
  const { platform, parts, logged, later } = await makeWorld();
  for (let i = 0; i < 10; i++) await makeJob(platform, 'acc_1');
  later(11 * minute);
  const useless = { ...parts, notify: async () => {} };
  const { outcome, counts } = await reconcile(useless);
  expect([outcome, counts]).toMatchObject([
    'done',
    { streams: 10, missing: 10, behind: { jobs: 10 }, repaired: 0, notRepaired: 20 },
  ]);
  expect(logged).toContainEqual(
    expect.objectContaining({ level: 'error', message: expect.stringContaining('could not repair') }),
  );
});

test('does not notify a consumer again in the same visit after it failed, but the other one', async () => {
  const { platform, parts, notified, logged, later } = await makeWorld();
  for (let i = 0; i < 10; i++) await makeJob(platform, 'acc_1');
  later(11 * minute);
  let attempts = 0;
  const notify: ReconcileParts['notify'] = async (consumer, notifications) => {
    if (consumer === 'projections') return parts.notify(consumer, notifications);
    attempts++;
    throw new Error('throttled');
  };
  const { outcome, counts } = await reconcile({ ...parts, notify });
  expect([outcome, attempts, notified.projections.length]).toEqual(['done', 1, 10]);
  expect(counts).toMatchObject({ missing: 10, behind: { jobs: 10 }, repaired: 10, notRepaired: 10 });
  expect(logged).toContainEqual(expect.objectContaining({ level: 'error', fields: { consumer: 'relay' } }));
});

test('logs an error for each account whose ledger lacks entries', async () => {
  const { platform, parts, logged, relay, project } = await makeWorld();
  const created = [await makeJob(platform, 'acc_1'), await makeJob(platform, 'acc_2')];
  await relay(created);
  await project(...created);
  const ledger = { ...parts.ledger, ledgerGaps: async (account: string) => (account === 'acc_2' ? 3 : 0) };
  expect((await reconcile({ ...parts, ledger })).counts).toMatchObject({
    accounts: 2,
    ledgerGaps: 3,
    repaired: 0,
    notRepaired: 0,
  });
  expect(logged.filter(({ level }) => level === 'error')).toMatchObject([
    { fields: { account: 'acc_2', numbers: 3, head: 1 } },
  ]);
});

test('continues a stopped walk and compares each stream once', async () => {
  const { platform, parts, later } = await makeWorld();
  const created: StreamNotification[] = [];
  for (let i = 0; i < 20; i++) created.push(await makeJob(platform, 'acc_1'));
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
  expect(last).toMatchObject({
    outcome: 'done',
    counts: { streams: 20, missing: 20, behind: { jobs: 20 }, notRepaired: 0 },
  });
  for (const { stream } of created) expect(await platform.rows.cursor('jobs', stream)).toBe(1);
});

test('begins one nightly walk a night, and another walk by hand or the next night', async () => {
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

test('lets one of several concurrent visits finish the walk, which counts each stream once', async () => {
  const { platform, parts, later } = await makeWorld();
  for (let i = 0; i < 30; i++) await makeJob(platform, 'acc_1');
  later(11 * minute);
  const all = await Promise.all(Array.from({ length: 4 }, () => reconcile(parts)));
  const ended = all.filter(({ outcome }) => outcome === 'done');
  expect(all.map(({ outcome }) => outcome).sort()).toEqual(['done', 'superseded', 'superseded', 'superseded']);
  expect(ended[0]?.counts.streams).toBe(30);
});
