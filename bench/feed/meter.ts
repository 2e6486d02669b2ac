/** Counts AWS requests: their number, their concurrency and the sequential round trips. */
import type { AwsClients } from '../../infra/aws/clients.ts';
import { countUsage, plus, unitsOf } from '../cost/usage.ts';
import { watchChildren } from '../processes.ts';

/** `seconds` is wall time. `ownCpu` and `emulatorCpu` are CPU seconds of this process and of its children. */
export type Spent = { seconds: number; ownCpu: number; emulatorCpu: number };

export async function spent(work: () => Promise<unknown>): Promise<Spent> {
  const own = process.cpuUsage();
  const children = watchChildren(process.pid);
  await work();
  const { wallSeconds, cpuSeconds } = children();
  const { user, system } = process.cpuUsage(own);
  return { seconds: wallSeconds, ownCpu: (user + system) / 1e6, emulatorCpu: cpuSeconds };
}

/** `waitSeconds` sums the durations of all requests. `writeUnits` includes those of refused writes. */
export type Asked = { requests: number; waitSeconds: number; writeUnits: number };

export type Meter = {
  during(work: () => Promise<void>): Promise<Asked & Spent>;
  /**
   * Sequential round trips: the duration if each request took one unit of time and nothing else took any. Requests
   * wait until all running ones are answered and the work has sent all requests that follow from the answers.
   */
  roundTripsOf(work: () => Promise<void>): Promise<number>;
};

/** Measures the requests of these clients, for one piece of work at a time. `prefix` begins the names of tables. */
export function meterOf(all: AwsClients[], prefix: string): Meter {
  const asked = { requests: 0, waitSeconds: 0 };
  const counters = all.map((clients) => countUsage(clients, prefix));
  let gate: Gate | undefined;

  async function measured<T>(send: () => Promise<T>): Promise<T> {
    const holding = gate;
    await holding?.enter();
    asked.requests++;
    const began = performance.now();
    try {
      return await send();
    } finally {
      asked.waitSeconds += (performance.now() - began) / 1000;
      holding?.leave();
    }
  }

  for (const client of all.flatMap((clients) => [
    clients.dynamo(),
    clients.events(),
    clients.s3(),
  ]) as unknown as Measurable[]) {
    client.middlewareStack.add((next) => (args) => measured(() => next(args)), { step: 'initialize', name: 'meter' });
  }
  return {
    async during(work) {
      const before = { ...asked };
      const done = Promise.withResolvers<void>();
      const counted = counters.map((counter) => counter.during(() => done.promise));
      const took = await spent(work).finally(done.resolve);
      const usages = (await Promise.all(counted)).map(({ usage }) => usage);
      const [requests, waitSeconds] = [asked.requests - before.requests, asked.waitSeconds - before.waitSeconds];
      return { ...took, requests, waitSeconds, writeUnits: unitsOf(plus(...usages), 'WRU') };
    },

    async roundTripsOf(work) {
      const opened = openGate();
      gate = opened;
      try {
        await work();
        return opened.rounds();
      } finally {
        gate = undefined;
      }
    },
  };
}

type Next = (args: object) => Promise<object>;
type Measurable = {
  middlewareStack: { add(middleware: (next: Next) => Next, options: { step: 'initialize'; name: string }): void };
};
type Gate = { enter(): Promise<void>; leave(): void; rounds(): number };

/** Lets requests through in rounds. */
export function openGate(): Gate {
  let waiting: (() => void)[] = [];
  let [under, rounds] = [0, 0];
  let letting = false;

  /** Starts the next round once no request follows from the last answers. */
  async function letThrough(): Promise<void> {
    if (letting || under > 0) return;
    letting = true;
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
    const due = waiting;
    waiting = [];
    under = due.length;
    letting = false;
    if (under > 0) rounds++;
    for (const go of due) go();
  }

  return {
    enter: () =>
      new Promise((resolve) => {
        waiting.push(resolve);
        void letThrough();
      }),
    leave() {
      under--;
      void letThrough();
    },
    rounds: () => rounds,
  };
}
