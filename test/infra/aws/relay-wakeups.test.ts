/** What becomes of wake-ups when an account, or the bus, fails. */
import { beforeEach, expect, test } from 'vitest';
import { parseStream } from '../../../domain/event.ts';
import type { Wakeup } from '../../../domain/ports.ts';
import { relayAgain, relayWakeups } from '../../../infra/aws/relay-wakeups.ts';
import { memoryBlobs, memoryRecords } from '../../support/memory-ports.ts';

const one: Wakeup = { stream: 'acc_1/job/job_1', version: 1 };
const two: Wakeup = { stream: 'acc_1/job/job_2', version: 4 };
const other: Wakeup = { stream: 'acc_2/job/job_3', version: 2 };

let broken: { ledger: string[]; bus: string[] };
let sequenced: Wakeup[];
let published: string[];
let machine: Parameters<typeof relayWakeups>[0] & { records: ReturnType<typeof memoryRecords> };

beforeEach(() => {
  broken = { ledger: [], bus: [] };
  sequenced = [];
  published = [];
  machine = {
    blobs: memoryBlobs(),
    records: memoryRecords(),
    log: { info() {}, warn() {}, error() {} },
    relay: {
      async sequence(wakeups) {
        const accounts = new Set(wakeups.map(({ stream }) => parseStream(stream).account));
        sequenced.push(...wakeups.filter(({ stream }) => !broken.ledger.includes(parseStream(stream).account)));
        return [...accounts].map((account) =>
          broken.ledger.includes(account) ? { account, commits: [], error: new Error('no') } : { account, commits: [] },
        );
      },
      async publish(account) {
        if (broken.bus.includes(account)) throw new Error('the bus is down');
        published.push(account);
        return 0;
      },
    },
  };
});

const aside = () => [...machine.records.stored.values()].map(({ data }) => data);

test('each account is sequenced and told to the bus, and nothing put aside', async () => {
  await relayWakeups(machine, [one, two, other]);
  expect(sequenced).toEqual([one, two, other]);
  expect(published).toEqual(['acc_1', 'acc_2']);
  expect(aside()).toEqual([]);
});

test.for(['ledger', 'bus'] as const)('an account whose %s fails is put aside, the others go on', async (part) => {
  broken[part] = ['acc_1'];
  await relayWakeups(machine, [one, other, two]);
  expect(published).toContain('acc_2');
  expect(aside()).toEqual(expect.arrayContaining([one, two]));
  expect(aside()).toHaveLength(2);
});

test('what was put aside is done once the trouble is over, and only then forgotten', async () => {
  broken.bus = ['acc_1', 'acc_2'];
  await relayWakeups(machine, [one, two, other]);
  broken.bus = ['acc_2'];
  await relayAgain(machine);
  expect(aside()).toEqual([other]);
  broken.bus = [];
  await relayAgain(machine);
  expect(aside()).toEqual([]);
  expect(published).toEqual(['acc_1', 'acc_2']);
});

test('a failure that lasts holds up none of hundreds behind it', async () => {
  broken.bus = Array.from({ length: 300 }, (_, i) => `acc_${i}`);
  await relayWakeups(
    machine,
    broken.bus.map((account) => ({ stream: `${account}/job/job_1`, version: 1 })),
  );
  broken.bus = ['acc_0', 'acc_7'];
  await relayAgain(machine);
  expect(aside()).toHaveLength(2);
});

test('what cannot even be put aside fails, so that the stream brings it again', async () => {
  broken.bus = ['acc_1'];
  machine.records.putMany = async () => {
    throw new Error('no table');
  };
  await expect(relayWakeups(machine, [one])).rejects.toThrow('no table');
});
