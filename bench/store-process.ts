/** Measures one event store in one round, in its own process. Arguments and result are JSON. */

import type { EventLog, Store } from './store-contestant.ts';
import { emmettConnection, emmettStore } from './store-emmett.ts';
import { listbackupStore } from './store-listbackup.ts';

export const stores = {
  listbackup: listbackupStore,
  'emmett-store': emmettStore,
  'emmett-connection': emmettConnection,
} satisfies {
  [key: string]: Store;
};
export type StoreKey = keyof typeof stores;

/** `seconds` is the time of each write and load measure. The replay reads `streams` with `events` each. */
export type StoreTask = { store: StoreKey; folder: string; seconds: number; streams: number; events: number };

/** Operations a second, and CPU time per operation. Only the first includes waiting for the disk. */
export type Rate = { perSecond: number; cpuMicroseconds: number };
export type StoreMeasures = {
  append1: Rate;
  append64: Rate;
  append512: Rate;
  command64: Rate;
  load: Rate;
  replay: Rate;
  replayOpened: Rate;
};
export type StoreAnswer = { durability: string; measures: StoreMeasures };

/** More streams than concurrent writers, so that no writer waits for the stream of another. */
const written = 1024;

if (import.meta.main) {
  const task: StoreTask = JSON.parse(process.argv[2] ?? '');
  const log = await stores[task.store].open(task.folder);
  const answer: StoreAnswer = { durability: await log.durability(), measures: await measure(log, task) };
  await log.close();
  console.log(JSON.stringify(answer));
}

async function measure(log: EventLog, { seconds, streams, events }: StoreTask): Promise<StoreMeasures> {
  for (let stream = 0; stream < streams; stream += 64) {
    const some = Array.from({ length: Math.min(64, streams - stream) }, (_, i) => stream + i);
    await Promise.all(some.map((each) => log.fill(each, events)));
  }
  const all = streams * events;
  const replay = await repeat(1, seconds, async () => expected(await log.replay(false), all));
  const replayOpened = await repeat(1, seconds, async () => expected(await log.replay(true), all));
  let loaded = 0;
  const load = await repeat(1, seconds, async () => {
    expected(await log.load(loaded++ % streams), events);
    return 1;
  });

  let appended = 0;
  const append = (count: number) =>
    repeat(count, seconds, async () => {
      const each = appended++;
      await log.append(streams + (each % written), Math.floor(each / written) + 1);
      return 1;
    });
  const append1 = await append(1);
  const append64 = await append(64);
  const append512 = await append(512);
  let commanded = 0;
  const command64 = await repeat(64, seconds, async () => {
    await log.command(streams + written + (commanded++ % written));
    return 1;
  });
  return { append1, append64, append512, command64, load, replay, replayOpened };
}

/** Repeats `work` in that many concurrent loops for that time. */
async function repeat(workers: number, seconds: number, work: () => Promise<number>): Promise<Rate> {
  const [start, cpu] = [performance.now(), process.cpuUsage()];
  let count = 0;
  const worker = async () => {
    do {
      const done = await work();
      count += done;
    } while (performance.now() < start + seconds * 1000);
  };
  await Promise.all(Array.from({ length: workers }, worker));
  const { user, system } = process.cpuUsage(cpu);
  return { perSecond: (count / (performance.now() - start)) * 1000, cpuMicroseconds: (user + system) / count };
}

function expected(count: number, due: number): number {
  if (count !== due) throw new Error(`${count} events were read where ${due} were written`);
  return count;
}
