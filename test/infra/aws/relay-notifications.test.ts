/** The handling of stream notifications when an account or the bus fails. */
import { beforeEach, expect, test, vi } from 'vitest';
import { parseStream } from '../../../domain/event.ts';
import type { Measures, StreamNotification } from '../../../domain/ports.ts';
import { BusUnavailable } from '../../../infra/aws/bus.ts';
import { relayAgain, relayNotifications } from '../../../infra/aws/relay-notifications.ts';
import { memoryBlobs, memoryRecords } from '../../support/memory-ports.ts';

const one: StreamNotification = { stream: 'acc_1/job/job_1', version: 1 };
const two: StreamNotification = { stream: 'acc_1/job/job_2', version: 4 };
const other: StreamNotification = { stream: 'acc_2/job/job_3', version: 2 };

let broken: { ledger: string[]; bus: string[]; unavailable?: true; live?: true };
let publishCalls: string[];
let sequenced: StreamNotification[];
let published: string[];
let notified: string[];
let measured: Measures[];
let clock: number;
let platform: Parameters<typeof relayNotifications>[0] & { records: ReturnType<typeof memoryRecords> };

beforeEach(() => {
  broken = { ledger: [], bus: [] };
  sequenced = [];
  published = [];
  notified = [];
  publishCalls = [];
  measured = [];
  clock = Date.parse('2026-01-01');
  platform = {
    blobs: memoryBlobs(),
    records: memoryRecords(),
    log: { info() {}, warn() {}, error() {}, measure: (numbers) => void measured.push(numbers) },
    now: () => clock,
    async notifyLive(account) {
      if (broken.live) throw new Error('the call was lost');
      notified.push(account);
    },
    relay: {
      async sequence(notifications) {
        const accounts = new Set(notifications.map(({ stream }) => parseStream(stream).account));
        sequenced.push(...notifications.filter(({ stream }) => !broken.ledger.includes(parseStream(stream).account)));
        return [...accounts].map((account) =>
          broken.ledger.includes(account) ? { account, commits: [], error: new Error('no') } : { account, commits: [] },
        );
      },
      async publish(account) {
        publishCalls.push(account);
        if (broken.unavailable) throw new BusUnavailable('The bus does not answer.');
        if (broken.bus.includes(account)) throw new Error('the bus is down');
        published.push(account);
        return 0;
      },
    },
  };
});

const setAside = () =>
  [...platform.records.stored.values()]
    .filter(({ pk }) => pk === 'relay-aside')
    .map(({ data: { since: _, ...notification } }) => notification);

test('sequences and publishes each account and sets nothing aside', async () => {
  await relayNotifications(platform, [one, two, other]);
  expect(sequenced).toEqual([one, two, other]);
  expect(published).toEqual(['acc_1', 'acc_2']);
  expect(setAside()).toEqual([]);
});

test('publishes accounts concurrently', async () => {
  const notifications = Array.from(
    { length: 9 },
    (_, i): StreamNotification => ({ stream: `acc_${i}/job/job_1`, version: 1 }),
  );
  const allStarted = Promise.withResolvers<void>();
  let started = 0;
  platform.relay.publish = async (account) => {
    // The first account goes alone, because it tests the bus.
    if (account !== 'acc_0' && ++started === 8) allStarted.resolve();
    if (account !== 'acc_0') await allStarted.promise;
    published.push(account);
    return 0;
  };
  await relayNotifications(platform, notifications);
  expect(new Set(published)).toHaveLength(9);
});

test.for(['ledger', 'bus'] as const)('sets aside an account whose %s fails and relays the others', async (part) => {
  broken[part] = ['acc_1'];
  await relayNotifications(platform, [one, other, two]);
  expect(published).toContain('acc_2');
  expect(setAside()).toEqual(expect.arrayContaining([one, two]));
  expect(setAside()).toHaveLength(2);
});

test('relays an account that was set aside once its fault is over, and only then removes it', async () => {
  broken.bus = ['acc_1', 'acc_2'];
  await relayNotifications(platform, [one, two, other]);
  broken.bus = ['acc_2'];
  await relayAgain(platform);
  expect(setAside()).toEqual([other]);
  broken.bus = [];
  await relayAgain(platform);
  expect(setAside()).toEqual([]);
  expect(published).toEqual(['acc_1', 'acc_2']);
});

test('measures the notifications set aside and the age of the oldest', async () => {
  broken.bus = ['acc_1', 'acc_2'];
  await relayNotifications(platform, [other]);
  clock += 60_000;
  await relayNotifications(platform, [one, two]);
  clock += 30_000;
  await relayAgain(platform);
  expect(measured).toEqual([{ RelaySetAside: 3, LedgerLagSeconds: 90 }]);
  broken.bus = [];
  await relayAgain(platform);
  expect(measured).toHaveLength(1);
});

test('relays hundreds of accounts behind one that keeps failing', async () => {
  broken.bus = Array.from({ length: 300 }, (_, i) => `acc_${i}`);
  await relayNotifications(
    platform,
    broken.bus.map((account) => ({ stream: `${account}/job/job_1`, version: 1 })),
  );
  broken.bus = ['acc_0', 'acc_7'];
  await relayAgain(platform);
  expect(setAside()).toHaveLength(2);
});

test('fails when it cannot set an account aside, so that the stream delivers the record again', async () => {
  broken.bus = ['acc_1'];
  platform.records.putMany = async () => {
    throw new Error('no table');
  };
  await expect(relayNotifications(platform, [one])).rejects.toThrow('no table');
});

test('calls an unavailable bus once per visit and still sequences every ledger', async () => {
  broken.unavailable = true;
  const notifications = Array.from(
    { length: 150 },
    (_, i): StreamNotification => ({ stream: `acc_${i}/job/job_1`, version: 1 }),
  );
  await relayNotifications(platform, notifications);
  expect(sequenced).toEqual(notifications);
  expect(publishCalls).toHaveLength(1);
  expect(setAside()).toHaveLength(150);
  sequenced = [];
  await relayAgain(platform);
  expect(sequenced).toHaveLength(150);
  expect(publishCalls).toHaveLength(2);
  delete broken.unavailable;
  await relayAgain(platform);
  expect(published).toHaveLength(150);
  expect(setAside()).toEqual([]);
});

const openSocket = (account: string) =>
  platform.records.write([{ op: 'put', pk: `live#${account}`, sk: 'con_1', data: {} }]);

test('calls the pusher once per visit for accounts with live sockets, after it published, and for no others', async () => {
  await openSocket('acc_2');
  platform.notifyLive = async (account) => {
    expect(published).toContain(account);
    notified.push(account);
  };
  await relayNotifications(platform, [one, other, two, { ...other, version: 3 }]);
  expect(notified).toEqual(['acc_2']);
});

test('reads one record per account and visit to find out that nobody listens', async () => {
  const query = vi.spyOn(platform.records, 'query');
  await relayNotifications(platform, [one, two, other]);
  expect(query.mock.calls).toEqual([
    ['live#acc_1', { limit: 1 }],
    ['live#acc_2', { limit: 1 }],
  ]);
  expect(notified).toEqual([]);
});

test('calls the pusher again after a lost call', async () => {
  await openSocket('acc_1');
  broken.live = true;
  await relayNotifications(platform, [one, other]);
  expect(setAside()).toEqual([one]);
  delete broken.live;
  await relayAgain(platform);
  expect(notified).toEqual(['acc_1']);
});
