/** `npm run bench -- feed`: measures relay and read models on the AWS emulator. */

import type { Head } from '../../activity/commit.ts';
import { parseStream } from '../../domain/event.ts';
import { inParallel } from '../../domain/parallel.ts';
import type { StreamNotification } from '../../domain/ports.ts';
import { awsClients } from '../../infra/aws/clients.ts';
import { type AwsPlatform, openAws } from '../../infra/aws/platform.ts';
import { relayNotifications } from '../../infra/aws/relay-notifications.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { projections } from '../../projections/index.ts';
import { makeStageAt } from '../../test/emulator/aws-stage.ts';
import { startMinistack } from '../../test/emulator/ministack.ts';
import { append, handOut, type Shape, shapes } from './commits.ts';
import { type Meter, meterOf } from './meter.ts';
import { measurePuts } from './puts.ts';
import { type Followed, feedTable, type Round } from './report.ts';

type Follower = {
  name: string;
  set: string;
  streams: string[] | undefined;
  follow(platform: AwsPlatform, notifications: StreamNotification[]): Promise<void>;
  /** How many commits of these streams it has processed. */
  done(platform: AwsPlatform, streams: string[]): Promise<number>;
};

/** The relay, each read model alone, and all read models together, which need a set of commits of their own. */
const followers: Follower[] = [
  { name: 'relay', set: 'first', streams: undefined, follow: relayNotifications, done: inLedger },
  ...projections.map((projection) => ({
    name: projection.name,
    set: 'first',
    streams: projection.streams,
    follow: (platform: AwsPlatform, notifications: StreamNotification[]) =>
      handleNotifications(platform, [projection], notifications),
    done: (platform: AwsPlatform, streams: string[]) => applied(platform, projection.name, streams),
  })),
  {
    name: 'all read models',
    set: 'second',
    streams: undefined,
    follow: (platform, notifications) => handleNotifications(platform, projections, notifications),
    // The slowest read model of each stream counts
    done: async (platform, streams) =>
      sumOf(streams, async (stream) => {
        const all = projections.filter((projection) => projection.streams.includes(parseStream(stream).type));
        return Math.min(...(await Promise.all(all.map(({ name }) => applied(platform, name, [stream])))));
      }),
  },
];

function inLedger(platform: AwsPlatform, streams: string[]): Promise<number> {
  const accounts = new Set(streams.map((stream) => parseStream(stream).account));
  return sumOf(
    accounts,
    async (account) => (await platform.events.ledger(account, { order: 'desc', limit: 1 }))[0]?.seq ?? 0,
  );
}

function applied(platform: AwsPlatform, projection: string, streams: string[]): Promise<number> {
  return sumOf(streams, (stream) => platform.rows.cursor(projection, stream));
}

async function sumOf<T>(all: Iterable<T>, count: (each: T) => Promise<number>): Promise<number> {
  let sum = 0;
  await inParallel(16, all, async (each) => {
    const counted = await count(each);
    sum += counted;
  });
  return sum;
}

export type FeedOptions = { rounds: number; warmUps: number; scale: number };

/** Measures each round on its own stage of one emulator. Passes progress and the table to `say`. */
export async function measureFeed(
  { rounds, warmUps, scale }: FeedOptions,
  say: (line: string) => void,
): Promise<Round[]> {
  const ministack = await startMinistack();
  Object.assign(process.env, ministack.environment);
  try {
    const measured: Round[] = [];
    for (let round = 0; round < warmUps + rounds; round++) {
      const clients = awsClients(ministack.environment);
      const stage: Stage = { environment: await makeStageAt(clients, ministack.environment), heads: new Map() };
      const puts = await measurePuts(clients.dynamo(), stage.environment.TABLE_PREFIX, Math.ceil(1000 * scale));
      clients.close();
      const followed: Followed[] = [];
      for (const shape of shapes) followed.push(...(await measureShape(stage, shape, Math.ceil(3 * scale))));
      const counts = round >= warmUps;
      if (counts) measured.push({ puts, followed });
      const numbers = followed.map(({ commits, seconds }) => (commits / seconds).toFixed(0));
      say(`${counts ? `round ${round - warmUps + 1}` : 'warm-up'}: ${numbers.join(', ')} /s`);
    }
    say(`\n${feedTable(measured)}`);
    return measured;
  } finally {
    await ministack.stop();
  }
}

type Stage = { environment: Parameters<typeof openAws>[0] & { TABLE_PREFIX: string }; heads: Map<string, Head> };

async function measureShape(stage: Stage, shape: Shape, waves: number): Promise<Followed[]> {
  const alone = await measureReaders(stage, shape, followers, 1, waves);
  const together: Followed[] = [];
  // Only relays wait for each other. More readers of read models would only wait for the emulator.
  for (const readers of shape.concurrentReaders)
    together.push(...(await measureReaders(stage, shape, followers.slice(0, 1), readers, 1)));
  return [...alone, ...together];
}

/**
 * Each reader has its own connections, as functions have. The readers process a hundred commits each before the next
 * are appended, so that none finds a later commit early.
 */
async function measureReaders(
  { environment, heads }: Stage,
  shape: Shape,
  measured: Follower[],
  readers: number,
  waves: number,
): Promise<Followed[]> {
  const all = Array.from({ length: readers }, () => awsClients(environment));
  const meter = meterOf(all, environment.TABLE_PREFIX);
  const platforms = all.map((clients) => openAws(environment, clients));
  const [writer] = platforms;
  if (!writer) throw new Error('There are no readers.');
  const results = new Map<string, Followed>();
  const notifiedStreams = new Map<string, Set<string>>();
  // With one reader the last batch only counts round trips, because holding requests back takes time
  for (let wave = 0; wave < waves + (readers === 1 ? 1 : 0); wave++) {
    const due = new Map<string, StreamNotification[]>();
    for (const set of new Set(measured.map((each) => each.set))) {
      due.set(set, await append(writer, heads, shape.wave(wave, `${set} of ${readers}`, readers)));
    }
    for (const { name, set, streams, follow } of measured) {
      const notifications = (due.get(set) ?? []).filter(
        ({ stream }) => !streams || streams.includes(parseStream(stream).type),
      );
      if (notifications.length === 0) continue;
      const shares = handOut(notifications, readers);
      const work = async () => {
        const read = async (platform: AwsPlatform, index: number) => {
          for (const batch of shares[index] ?? []) await follow(platform, batch);
        };
        await Promise.all(platforms.map(read));
      };
      const result = results.get(name) ?? { ...noMeasures, shape: shape.title, readers, name };
      results.set(name, result);
      if (wave < waves) await measure(meter, work, notifications.length, result);
      else result.roundTrips = await meter.roundTripsOf(work);
      notifiedStreams.set(
        name,
        new Set([...(notifiedStreams.get(name) ?? []), ...notifications.map(({ stream }) => stream)]),
      );
    }
  }
  for (const { name, done } of measured) {
    const streams = [...(notifiedStreams.get(name) ?? [])];
    const due = streams.reduce((sum, stream) => sum + (heads.get(stream)?.version ?? 0), 0);
    const reached = await done(writer, streams);
    if (reached !== due) throw new Error(`${name} processed ${reached} of ${due} commits: ${shape.title}`);
  }
  for (const clients of all) clients.close();
  return [...results.values()];
}

const noMeasures = {
  commits: 0,
  seconds: 0,
  requests: 0,
  waitSeconds: 0,
  writeUnits: 0,
  ownCpu: 0,
  emulatorCpu: 0,
  roundTrips: 0,
};

async function measure(meter: Meter, work: () => Promise<void>, commits: number, sum: Followed): Promise<void> {
  const measured = await meter.during(work);
  sum.commits += commits;
  for (const key of Object.keys(measured) as (keyof typeof measured)[]) sum[key] += measured[key];
}
