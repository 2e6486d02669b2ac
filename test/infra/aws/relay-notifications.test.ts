/** What becomes of wake-ups when an account, or the bus, fails. */
import { beforeEach, expect, test } from 'vitest';
import { parseStream } from '../../../domain/event.ts';
import type { Measures, StreamNotification } from '../../../domain/ports.ts';
import { BusAway } from '../../../infra/aws/bus.ts';
import { relayAgain, relayNotifications } from '../../../infra/aws/relay-notifications.ts';
import { memoryBlobs, memoryRecords } from '../../support/memory-ports.ts';

const one: StreamNotification = { stream: 'acc_1/job/job_1', version: 1 };
const two: StreamNotification = { stream: 'acc_1/job/job_2', version: 4 };
const other: StreamNotification = { stream: 'acc_2/job/job_3', version: 2 };

let broken: { ledger: string[]; bus: string[]; away?: true };
let asked: string[];
let sequenced: StreamNotification[];
let published: string[];
let measured: Measures[];
let clock: number;
let platform: Parameters<typeof relayNotifications>[0] & { records: ReturnType<typeof memoryRecords> };

beforeEach(() => {
  broken = { ledger: [], bus: [] };
  sequenced = [];
  published = [];
  asked = [];
  measured = [];
  clock = Date.parse('2026-01-01');
  platform = {
    blobs: memoryBlobs(),
    records: memoryRecords(),
    log: { info() {}, warn() {}, error() {}, measure: (numbers) => void measured.push(numbers) },
    now: () => clock,
    relay: {
      async sequence(notifications) {
        const accounts = new Set(notifications.map(({ stream }) => parseStream(stream).account));
        sequenced.push(...notifications.filter(({ stream }) => !broken.ledger.includes(parseStream(stream).account)));
        return [...accounts].map((account) =>
          broken.ledger.includes(account) ? { account, commits: [], error: new Error('no') } : { account, commits: [] },
        );
      },
      async publish(account) {
        asked.push(account);
        if (broken.away) throw new BusAway('it does not answer');
        if (broken.bus.includes(account)) throw new Error('the bus is down');
        published.push(account);
        return 0;
      },
    },
  };
});

const aside = () =>
  [...platform.records.stored.values()].map(({ data: { since: _, ...notification } }) => notification);

test('each account is sequenced and told to the bus, and nothing put aside', async () => {
  await relayNotifications(platform, [one, two, other]);
  expect(sequenced).toEqual([one, two, other]);
  expect(published).toEqual(['acc_1', 'acc_2']);
  expect(aside()).toEqual([]);
});

test('accounts are told beside one another: none waits for the one before', async () => {
  const notifications = Array.from(
    { length: 9 },
    (_, i): StreamNotification => ({ stream: `acc_${i}/job/job_1`, version: 1 }),
  );
  const all = Promise.withResolvers<void>();
  let under = 0;
  platform.relay.publish = async (account) => {
    // The first finds out alone whether there is a bus.
    if (account !== 'acc_0' && ++under === 8) all.resolve();
    if (account !== 'acc_0') await all.promise;
    published.push(account);
    return 0;
  };
  await relayNotifications(platform, notifications);
  expect(new Set(published)).toHaveLength(9);
});

test.for(['ledger', 'bus'] as const)('an account whose %s fails is put aside, the others go on', async (part) => {
  broken[part] = ['acc_1'];
  await relayNotifications(platform, [one, other, two]);
  expect(published).toContain('acc_2');
  expect(aside()).toEqual(expect.arrayContaining([one, two]));
  expect(aside()).toHaveLength(2);
});

test('what was put aside is done once the trouble is over, and only then forgotten', async () => {
  broken.bus = ['acc_1', 'acc_2'];
  await relayNotifications(platform, [one, two, other]);
  broken.bus = ['acc_2'];
  await relayAgain(platform);
  expect(aside()).toEqual([other]);
  broken.bus = [];
  await relayAgain(platform);
  expect(aside()).toEqual([]);
  expect(published).toEqual(['acc_1', 'acc_2']);
});

test('what waits is counted, with how long the first of it has', async () => {
  broken.bus = ['acc_1', 'acc_2'];
  await relayNotifications(platform, [other]);
  clock += 60_000;
  await relayNotifications(platform, [one, two]);
  clock += 30_000;
  await relayAgain(platform);
  expect(measured).toEqual([{ RelayAside: 3, LedgerLagSeconds: 90 }]);
  broken.bus = [];
  await relayAgain(platform);
  expect(measured).toHaveLength(1);
});

test('a failure that lasts holds up none of hundreds behind it', async () => {
  broken.bus = Array.from({ length: 300 }, (_, i) => `acc_${i}`);
  await relayNotifications(
    platform,
    broken.bus.map((account) => ({ stream: `${account}/job/job_1`, version: 1 })),
  );
  broken.bus = ['acc_0', 'acc_7'];
  await relayAgain(platform);
  expect(aside()).toHaveLength(2);
});

test('what cannot even be put aside fails, so that the stream brings it again', async () => {
  broken.bus = ['acc_1'];
  platform.records.putMany = async () => {
    throw new Error('no table');
  };
  await expect(relayNotifications(platform, [one])).rejects.toThrow('no table');
});

test('a bus that is away is not asked for each account anew, and every ledger goes on', async () => {
  broken.away = true;
  const notifications = Array.from(
    { length: 150 },
    (_, i): StreamNotification => ({ stream: `acc_${i}/job/job_1`, version: 1 }),
  );
  await relayNotifications(platform, notifications);
  expect(sequenced).toEqual(notifications);
  expect(asked).toHaveLength(1);
  expect(aside()).toHaveLength(150);
  sequenced = [];
  await relayAgain(platform);
  expect(sequenced).toHaveLength(150);
  expect(asked).toHaveLength(2);
  delete broken.away;
  await relayAgain(platform);
  expect(published).toHaveLength(150);
  expect(aside()).toEqual([]);
});
