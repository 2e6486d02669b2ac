/** The contract of the port Bus. The harness routes only `contract.tested.v1` to the queue `job`. */
import assert from 'node:assert/strict';
import type { Bus, BusEvent, JsonObject, Queue } from '../../domain/ports.ts';
import { eventually } from './eventually.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

export type BusHarness = { bus: Bus; queue: Queue };

const routed = 'contract.tested.v1';

function busEvent(account: string, version: number, type = routed): BusEvent {
  return {
    id: fresh('evt'),
    type,
    account,
    stream: `${account}/job/${fresh('job')}`,
    version,
    index: 0,
    at: '2026-01-01T00:00:00.000Z',
  };
}

/** Receives events of the account until all ids have arrived. Returns each event once. */
async function arrived(queue: Queue, account: string, ids: string[]): Promise<JsonObject[]> {
  const found = new Map<string, JsonObject>();
  await eventually(async () => {
    for (const { body, receipt } of await queue.receive('job', { max: 10, visibilitySeconds: 60 })) {
      if (body.account === account) found.set(String(body.id), body);
      await queue.ack('job', receipt);
    }
    const missing = ids.filter((id) => !found.has(id));
    assert.equal(missing.length, 0, `${missing.length} of ${ids.length} events are missing`);
  });
  return [...found.values()];
}

export const busPromises: PortPromise<BusHarness>[] = [
  {
    promise: 'delivers a published event unchanged to the queue of its route',
    async check({ bus, queue }) {
      const account = fresh('acc');
      const event = busEvent(account, 3);
      await bus.publish([event]);
      assert.deepEqual(await arrived(queue, account, [event.id]), [event]);
    },
    broken: ({ bus, queue }) => ({
      queue,
      bus: { ...bus, publish: (events) => bus.publish(events.map((event) => ({ ...event, version: 0 }))) },
    }),
  },
  {
    promise: 'delivers any number of events published together',
    async check({ bus, queue }) {
      const account = fresh('acc');
      const events = upTo(25).map((n) => busEvent(account, n));
      await bus.publish([]);
      await bus.publish(events);
      await arrived(
        queue,
        account,
        events.map((event) => event.id),
      );
    },
    broken: ({ bus, queue }) => ({ queue, bus: { ...bus, publish: (events) => bus.publish(events.slice(0, 10)) } }),
  },
  {
    promise: 'delivers no event whose type has no route',
    async check({ bus, queue }) {
      const account = fresh('acc');
      const [stray, other, event] = [
        busEvent(account, 1, 'contract.unrouted.v1'),
        busEvent(account, 2, `${routed}0`),
        busEvent(account, 3),
      ];
      await bus.publish([stray, other]);
      await bus.publish([event]);
      assert.deepEqual(
        (await arrived(queue, account, [event.id])).map((body) => body.version),
        [3],
      );
    },
    broken: ({ bus, queue }) => ({
      queue,
      bus: { ...bus, publish: (events) => bus.publish(events.map((event) => ({ ...event, type: routed }))) },
    }),
  },
];
