/** The counting and the table of `npm run bench -- feed`, without an emulator. */
import { expect, test } from 'vitest';
import { handOut } from '../../bench/feed/commits.ts';
import { openGate } from '../../bench/feed/meter.ts';
import { feedTable } from '../../bench/feed/report.ts';

/** A request of that duration. */
function asker() {
  const gate = openGate();
  const ask = async (milliseconds = 0) => {
    await gate.enter();
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
    gate.leave();
  };
  return { ask, rounds: gate.rounds };
}

test('concurrent requests are one round trip, sequential requests are many', async () => {
  const together = asker();
  await Promise.all([together.ask(5), together.ask(1), together.ask()]);
  expect(together.rounds()).toBe(1);

  const apart = asker();
  for (let i = 0; i < 4; i++) await apart.ask();
  expect(apart.rounds()).toBe(4);
});

test('counts the longest of several chains', async () => {
  const { ask, rounds } = asker();
  const chain = async (length: number, milliseconds: number) => {
    for (let i = 0; i < length; i++) await ask(milliseconds);
  };
  await Promise.all([chain(2, 1), chain(7, 9), chain(5, 0)]);
  expect(rounds()).toBe(7);
});

test('gives a stream to one reader, in order, a hundred commits at a time', () => {
  const notifications = Array.from({ length: 2000 }, (_, i) => ({
    stream: `acc_1/job/job_${i % 40}`,
    version: 1 + Math.floor(i / 40),
  }));
  const shares = handOut(notifications, 4);
  expect(shares).toHaveLength(4);
  expect(Math.max(...shares.flat().map((batch) => batch.length))).toBe(100);
  const readers = shares.map((batches) => new Set(batches.flat().map(({ stream }) => stream)));
  expect(readers.reduce((sum, { size }) => sum + size, 0)).toBe(40);
  for (const batches of shares) {
    const read = Map.groupBy(batches.flat(), ({ stream }) => stream);
    for (const versions of read.values())
      expect(versions.map(({ version }) => version)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
  }
});

test('shows medians relative to concurrent bare puts', () => {
  const round = (seconds: number) => ({
    puts: [
      { atOnce: 1, puts: 100, seconds: 2, ownCpu: 0.05, emulatorCpu: 0.1 },
      { atOnce: 64, puts: 100, seconds: 0.5, ownCpu: 0.1, emulatorCpu: 0.1 },
    ],
    followed: [
      {
        shape: 'one stream',
        readers: 1,
        name: 'relay',
        commits: 300,
        seconds,
        requests: 60,
        waitSeconds: 3,
        writeUnits: 618,
        ownCpu: 0.15,
        emulatorCpu: 1.5,
        roundTrips: 13,
      },
    ],
  });
  const text = feedTable([round(1), round(3), round(100)]);
  expect(text).toContain('| one stream | 1 | relay | 100 | 2.8 | 0.20 | 2.06 | 1.0 | 50 % | 0.50 | 13 |');
  expect(text).toContain('1 at once: 50 a second, 1.50 ms of CPU each; 64 at once: 200 a second, 2.00 ms of CPU each.');
});
