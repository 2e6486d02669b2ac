/** The findings of the reconcile, on a self-hosted platform whose consumers receive only chosen notifications. */
import { expect, test } from 'vitest';
import { parseStream } from '../../../domain/event.ts';
import type { JsonObject, StreamNotification } from '../../../domain/ports.ts';
import { awsNews, markingNews } from '../../../infra/aws/news.ts';
import { type Consumer, type ReconcileParts, reconcile } from '../../../infra/aws/reconcile.ts';
import { makeChaos } from '../../../infra/embedded/chaos.ts';
import { beginBuilding } from '../../../projections/engine/generations.ts';
import { rebuild } from '../../../projections/engine/rebuild.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { countingJobs, failing, makeJob, rename, write } from '../../projections/engine/jobs-world.ts';
import { openTestPlatform } from '../../support/embedded.ts';

const jobs = countingJobs(1);
const minute = 60_000;

/**
 * A platform with a clock that can be advanced, a simulated relay, and a record of all notifications by consumer. The
 * walk over all streams is done, unless `walked` is false.
 */
async function makeWorld({ walked = true } = {}) {
  let now = Date.UTC(2026, 0, 5, 10);
  const opened = (await openTestPlatform({ now: () => now })).platform;
  const platform = { ...opened, events: markingNews(opened.events, opened.records) };
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
    news: { streams: (day, lane, page) => awsNews(platform.records).streams(day, lane, { ...page, limit: 2 }) },
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
  if (walked) await reconcile(parts);
  logged.length = 0;
  return {
    ...{ platform, parts, notified, logged, relay, entered, published },
    project: (...notifications: StreamNotification[]) => handleNotifications(platform, [jobs], notifications),
    later: (milliseconds: number) => {
      now += milliseconds;
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
  for (let i = 0; i < 40; i++) created.push(await makeJob(platform, 'acc_1'));
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
    counts: { streams: 40, missing: 40, behind: { jobs: 40 }, notRepaired: 0 },
  });
  for (const { stream } of created) expect(await platform.rows.cursor('jobs', stream)).toBe(1);
});

test('begins one nightly walk a night, and another walk by hand or the next night', async () => {
  const { platform, parts, later } = await makeWorld({ walked: false });
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

const day = 24 * 60 * minute;

/** Counts the calls that read streams. */
function counted(parts: ReconcileParts) {
  const calls = { last: 0, streams: 0, news: 0 };
  const count =
    <A extends unknown[], R>(name: keyof typeof calls, read: (...args: A) => R) =>
    (...args: A): R => {
      calls[name]++;
      return read(...args);
    };
  const { events, news, streamShares } = parts;
  return {
    calls,
    parts: {
      ...parts,
      events: { ...events, last: count('last', events.last) },
      news: { streams: count('news', news.streams) },
      streamShares: count('streams', streamShares),
    },
  };
}

test('reads only streams with news since the last walk', async () => {
  const { platform, parts, notified, later, relay, project } = await makeWorld();
  const old = await Promise.all(Array.from({ length: 60 }, () => makeJob(platform, 'acc_1')));
  await relay(old);
  await project(...old);
  later(2 * day);
  expect((await reconcile(parts)).counts).toMatchObject({ streams: 60, missing: 0 });
  later(2 * day);
  const renamed = await Promise.all(old.slice(0, 3).map(({ jobId }) => rename(platform, 'acc_1', jobId)));
  later(day);
  const { calls, parts: watched } = counted(parts);
  expect((await reconcile(watched)).counts).toMatchObject({ streams: 3, missing: 3, behind: { jobs: 3 }, repaired: 6 });
  expect([calls.last, calls.streams]).toEqual([3, 0]);
  // Four lanes for each of the four days, and one more page at most for each.
  expect(calls.news).toBeLessThanOrEqual(2 * 4 * 4);
  expect(sorted(notified.relay)).toEqual(sorted(renamed));
});

test('compares streams again that it could not repair, and no others', async () => {
  const { platform, parts, later } = await makeWorld();
  const created = await Promise.all(Array.from({ length: 20 }, () => makeJob(platform, 'acc_1')));
  later(11 * minute);
  const only = created[0]?.stream;
  const notify: ReconcileParts['notify'] = (consumer, all) =>
    parts.notify(
      consumer,
      all.filter(({ stream }) => stream !== only),
    );
  expect((await reconcile({ ...parts, notify })).counts).toMatchObject({ streams: 20, notRepaired: 2 });
  // The day of the last walk had not ended, so the next one includes it.
  later(5 * day);
  expect((await reconcile({ ...parts, notify })).counts.streams).toBeGreaterThanOrEqual(20);
  for (let nights = 0; nights < 3; nights++) {
    later(5 * day);
    expect((await reconcile({ ...parts, notify })).counts).toMatchObject({ streams: 1, notRepaired: 2 });
  }
  later(5 * day);
  expect((await reconcile(parts)).counts).toMatchObject({ streams: 1, repaired: 2, notRepaired: 0 });
  later(5 * day);
  expect((await reconcile(parts)).counts).toMatchObject({ streams: 0 });
});

test('walks the same days again when too many streams remain to remember', async () => {
  const { platform, parts, later } = await makeWorld();
  await Promise.all(Array.from({ length: 120 }, () => makeJob(platform, 'acc_1')));
  later(11 * minute);
  await reconcile({ ...parts, notify: async () => {} });
  later(9 * day);
  expect((await reconcile(parts)).counts).toMatchObject({ missing: 120, behind: { jobs: 120 }, notRepaired: 0 });
});

test('compares the streams of a rebuild again after it', async () => {
  const { platform, parts, later, relay, project } = await makeWorld();
  const created = await makeJob(platform, 'acc_1');
  await relay([created]);
  await project(created);
  await beginBuilding(platform, jobs, true);
  later(3 * day);
  expect((await reconcile(parts)).counts).toMatchObject({ streams: 1, behind: {} });
  expect(await rebuild(platform, jobs)).toBe('rebuilt');
  // The commit reached only the rows that the rebuild replaced.
  await platform.rows.forget('jobs@2', [created.stream]);
  later(9 * day);
  expect((await reconcile(parts)).counts).toMatchObject({ behind: { jobs: 1 }, repaired: 1 });
  later(9 * day);
  expect((await reconcile(parts)).counts).toMatchObject({ streams: 0 });
});

test('checks the entries of a ledger once, and those after a gap until they are restored', async () => {
  const { platform, parts, later, relay, project } = await makeWorld();
  const asked: string[] = [];
  let gap = 0;
  const ledgerGaps: ReconcileParts['ledger']['ledgerGaps'] = async (account, checked, head) => {
    asked.push(`${account} ${checked} ${head}`);
    return account === 'acc_1' ? gap : 0;
  };
  const night = async () => {
    const made = [await makeJob(platform, 'acc_1'), await makeJob(platform, 'acc_1'), await makeJob(platform, 'acc_2')];
    await relay(made);
    await project(...made);
    later(2 * day);
    await reconcile({ ...parts, ledger: { ...parts.ledger, ledgerGaps } });
    return asked.splice(0).sort();
  };
  expect(await night()).toEqual(['acc_1 0 2', 'acc_2 0 1']);
  gap = 1;
  expect(await night()).toEqual(['acc_1 2 4', 'acc_2 1 2']);
  expect(await night()).toEqual(['acc_1 2 6', 'acc_2 2 3']);
  gap = 0;
  expect(await night()).toEqual(['acc_1 2 8', 'acc_2 3 4']);
  expect(await night()).toEqual(['acc_1 8 10', 'acc_2 4 5']);
});

test('walks over all streams the first time, on request, and after the marks have expired', async () => {
  const { parts, later } = await makeWorld({ walked: false });
  expect((await reconcile(parts)).counts).toMatchObject({ streams: 0 });
  const walks = async (options = {}) => {
    const watched = counted(parts);
    await reconcile(watched.parts, options);
    return watched.calls.streams > 0;
  };
  later(day);
  expect([await walks(), await walks({ all: true }), await walks()]).toEqual([false, true, false]);
  later(100 * day);
  expect([await walks(), await walks()]).toEqual([true, false]);
});

test.each([1, 2, 3, 4, 5])('has every lost commit processed by the next night, for weeks (seed %i)', async (seed) => {
  const { platform, parts, later, relay, project } = await makeWorld();
  const chaos = makeChaos(seed);
  const heads = new Map<string, number>();
  const accounts = ['acc_1', 'acc_2', 'acc_3'];
  const old = await Promise.all(Array.from({ length: 10 }, () => makeJob(platform, 'acc_1')));
  // A process that dies between the mark and the commit.
  const records = { ...platform.records, putMany: async () => Promise.reject(new Error('killed')) };
  const dying = { ...platform, events: markingNews(platform.events, records) };
  for (let night = 0; night < 15; night++) {
    for (let part = 0; part < 6; part++) {
      later(chaos.chance(0.5) ? day / 4 : day / 12);
      const written: StreamNotification[] = [];
      await write(platform, accounts, 5, chaos, (notification) => written.push(notification));
      for (const { jobId } of old.filter(() => chaos.chance(0.1))) written.push(await rename(platform, 'acc_1', jobId));
      if (chaos.chance(0.3)) await makeJob(dying, 'acc_1').catch(() => undefined);
      for (const { stream, version } of written) heads.set(stream, Math.max(version, heads.get(stream) ?? 0));
      await relay(written.filter(() => chaos.chance(0.6)));
      await project(...written.filter(() => chaos.chance(0.6)));
    }
    later(11 * minute);
    let rounds = 0;
    const stop = () => chaos.chance(0.2) && rounds++ < 20;
    for (let last = await reconcile(parts, { stop }); last.outcome !== 'done'; )
      last = await reconcile(parts, { stop });
    for (const [stream, version] of heads) {
      expect([stream, await platform.rows.cursor('jobs', stream)]).toEqual([stream, version]);
      expect((await parts.ledger.reached([stream])).get(stream)).toBe(version);
    }
  }
});
