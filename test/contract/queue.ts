/** The contract of the port Queue. A check tags its messages, and acks those of other checks. */
import assert from 'node:assert/strict';
import type { JsonObject, Queue, QueueName, Received } from '../../domain/ports.ts';
import { eventually } from './eventually.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

const queue: QueueName = 'job';

/** Receives the messages with the tag. Acks all other messages. */
export async function receiveOwn(
  port: Queue,
  from: QueueName,
  tag: string,
  options: Partial<Parameters<Queue['receive']>[1]> = {},
): Promise<Received[]> {
  const received = await port.receive(from, { max: 10, visibilitySeconds: 60, waitSeconds: 0, ...options });
  const own = received.filter((message) => message.body.tag === tag);
  for (const message of received) if (!own.includes(message)) await port.ack(from, message.receipt);
  return own;
}

/** Receives until a message with the tag arrives. */
function one(port: Queue, tag: string, visibilitySeconds = 60): Promise<Received> {
  return eventually(async () => {
    const [first] = await receiveOwn(port, queue, tag, { max: 1, visibilitySeconds });
    assert.ok(first, 'no message arrived');
    return first;
  });
}

/**
 * Receives a message with a short visibility and finishes `work` before it ends. On a machine that is too slow it
 * repeats this with a new message and a longer visibility.
 */
async function inTime(
  port: Queue,
  work: (message: Received) => Promise<void>,
): Promise<{ tag: string; message: Received; seconds: number }> {
  for (let seconds = 1; ; seconds *= 4) {
    const tag = fresh('tag');
    await port.send(queue, [{ body: { tag, n: 1 } }]);
    const start = Date.now();
    const message = await one(port, tag, seconds);
    const [result] = await Promise.allSettled([work(message)]);
    const isInTime = Date.now() - start < seconds * 1000;
    if (isInTime && result.status === 'rejected') throw result.reason;
    if (isInTime) return { tag, message, seconds };
    await port.ack(queue, message.receipt);
  }
}

/** Receives and acks messages with the tag until `count` have arrived. */
async function drained(port: Queue, from: QueueName, tag: string, count: number): Promise<JsonObject[]> {
  const bodies: JsonObject[] = [];
  await eventually(async () => {
    for (const message of await receiveOwn(port, from, tag)) {
      bodies.push(message.body);
      await port.ack(from, message.receipt);
    }
    assert.ok(bodies.length >= count, `${bodies.length} of ${count} messages`);
  });
  return bodies;
}

async function expectNone(port: Queue, tag: string): Promise<void> {
  assert.deepEqual(await receiveOwn(port, queue, tag), []);
}

/** Receives a message without ack until it is a dead letter. Returns its receive counts. */
async function deadLetter(port: Queue, tag: string): Promise<number[]> {
  const receives: number[] = [];
  for (const _ of upTo(5)) {
    const message = await one(port, tag);
    receives.push(message.receives);
    await port.extend(queue, message.receipt, 0);
  }
  await eventually(async () => {
    await expectNone(port, tag);
    assert.equal((await port.deadLetters(queue)).filter((body) => body.tag === tag).length, 1);
  });
  return receives;
}

export const queuePromises: PortPromise<Queue>[] = [
  {
    promise: 'delivers each message on its own queue with an unchanged body',
    async check(port) {
      const tag = fresh('tag');
      const bodies = upTo(25).map((n) => ({ tag, n, text: 'é 🎉 "', deep: { list: [null, true, {}] } }));
      await port.send(
        queue,
        bodies.map((body) => ({ body })),
      );
      await port.send('data', [{ body: { tag, n: 0 } }]);
      await port.send(queue, []);
      const arrived = await drained(port, queue, tag, 25);
      assert.deepEqual(
        arrived.sort((a, b) => Number(a.n) - Number(b.n)),
        bodies,
      );
      assert.deepEqual(await drained(port, 'data', tag, 1), [{ tag, n: 0 }]);
    },
    broken: (port) => ({ ...port, send: (to, messages) => port.send(to, messages.slice(0, 10)) }),
  },
  {
    promise: 'returns at most the requested number, and each message to one receiver',
    async check(port) {
      const tag = fresh('tag');
      await port.send(
        queue,
        upTo(10).map((n) => ({ body: { tag, n } })),
      );
      const arrived: number[] = [];
      await eventually(async () => {
        const batches = await Promise.all(upTo(5).map(() => receiveOwn(port, queue, tag, { max: 2 })));
        assert.ok(batches.every((batch) => batch.length <= 2));
        arrived.push(...batches.flat().map((message) => Number(message.body.n)));
        for (const message of batches.flat()) await port.ack(queue, message.receipt);
        assert.ok(arrived.length >= 10);
      });
      assert.deepEqual(
        arrived.sort((a, b) => a - b),
        upTo(10),
      );
    },
    broken: (port) => ({ ...port, receive: (from, options) => port.receive(from, { ...options, max: 10 }) }),
  },
  {
    promise: 'delivers a message without ack again after its visibility, and counts the receives',
    async check(port) {
      const tag = fresh('tag');
      await port.send(queue, [{ body: { tag } }]);
      const first = await one(port, tag, 1);
      assert.equal(first.receives, 1);
      const second = await one(port, tag);
      assert.equal(second.receives, 2);
      assert.deepEqual(second.body, { tag });
      await port.ack(queue, second.receipt);
    },
    broken: (port) => ({
      ...port,
      async receive(from, options) {
        const received = await port.receive(from, options);
        for (const message of received) await port.ack(from, message.receipt);
        return received;
      },
    }),
  },
  {
    promise: 'hides a received message from other receivers',
    async check(port) {
      const tag = fresh('tag');
      await port.send(queue, [{ body: { tag } }]);
      const message = await one(port, tag);
      await expectNone(port, tag);
      await port.ack(queue, message.receipt);
    },
    broken: (port) => ({
      ...port,
      receive: (from, options) => port.receive(from, { ...options, visibilitySeconds: 0 }),
    }),
  },
  {
    promise: 'never delivers a message again after an ack, and accepts a second ack',
    async check(port) {
      const { tag, seconds } = await inTime(port, async ({ receipt }) => {
        await port.ack(queue, receipt);
        await port.ack(queue, receipt);
      });
      await port.send(queue, [{ body: { tag, n: 2 }, delaySeconds: seconds + 1 }]);
      const next = await one(port, tag);
      assert.deepEqual(next.body, { tag, n: 2 });
      await port.ack(queue, next.receipt);
    },
    broken: (port) => ({ ...port, ack: async (_, receipt) => void (receipt === '') }),
  },
  {
    promise: 'hides a message beyond its first visibility after extend',
    async check(port) {
      const { tag, message, seconds } = await inTime(port, ({ receipt }) => port.extend(queue, receipt, 600));
      await port.send(queue, [{ body: { tag, n: 2 }, delaySeconds: seconds + 1 }]);
      const next = await one(port, tag);
      assert.equal(next.body.n, 2);
      for (const { receipt } of [message, next]) await port.ack(queue, receipt);
    },
    broken: (port) => ({ ...port, extend: async () => {} }),
  },
  {
    promise: 'makes a message visible at once with extend by 0',
    async check(port) {
      const tag = fresh('tag');
      await port.send(queue, [{ body: { tag } }]);
      const message = await one(port, tag, 600);
      await port.extend(queue, message.receipt, 0);
      const again = await one(port, tag);
      assert.equal(again.receives, 2);
      await port.ack(queue, again.receipt);
    },
    broken: (port) => ({ ...port, extend: (from, receipt, seconds) => port.extend(from, receipt, seconds || 600) }),
  },
  {
    promise: 'delivers a delayed message at its time and not before',
    async check(port) {
      const tag = fresh('tag');
      const sent = Date.now();
      await port.send(queue, [{ body: { tag }, delaySeconds: 3 }]);
      const message = await one(port, tag);
      assert.ok(Date.now() - sent >= 2500, 'the message came before its time');
      await port.ack(queue, message.receipt);
    },
    broken: (port) => ({
      ...port,
      send: (to, messages) =>
        port.send(
          to,
          messages.map(({ body }) => ({ body })),
        ),
    }),
  },
  {
    promise: 'delivers to a waiting receive a message sent meanwhile',
    async check(port) {
      const tag = fresh('tag');
      await eventually(async () =>
        assert.deepEqual(await port.receive(queue, { max: 10, visibilitySeconds: 600 }), []),
      );
      const waiting = port.receive(queue, { max: 10, visibilitySeconds: 60, waitSeconds: 10 });
      await port.send(queue, [{ body: { tag } }]);
      const [message] = (await waiting).filter((each) => each.body.tag === tag);
      assert.ok(message, 'the receive returned too early');
      await port.ack(queue, message.receipt);
    },
    broken: (port) => ({ ...port, receive: (from, options) => port.receive(from, { ...options, waitSeconds: 0 }) }),
  },
  {
    promise: 'delivers messages of up to 256 KB, several in one send, and refuses larger ones with that reason',
    async check(port) {
      const tag = fresh('tag');
      const text = 'x'.repeat(200_000);
      await port.send(
        queue,
        upTo(3).map((n) => ({ body: { tag, n, text } })),
      );
      assert.deepEqual(
        (await drained(port, queue, tag, 3)).map((body) => String(body.text).length),
        [200_000, 200_000, 200_000],
      );
      await assert.rejects(
        port.send(queue, [{ body: { tag } }, { body: { tag, text: 'é'.repeat(132_000) } }]),
        /256 KB/,
      );
    },
    broken: (port) => ({ ...port, send: (...to) => port.send(...to).catch(() => {}) }),
  },
  {
    promise: 'refuses a delay over 900 seconds',
    check: (port) => assert.rejects(port.send(queue, [{ body: { tag: fresh('tag') }, delaySeconds: 901 }]), /900/),
    broken: (port) => ({
      ...port,
      send: (to, messages) =>
        port.send(
          to,
          messages.map(({ body }) => ({ body, delaySeconds: 900 })),
        ),
    }),
  },
  {
    promise: 'dead-letters a message after five receives without ack, and listing keeps it',
    async check(port) {
      const tag = fresh('tag');
      await port.send(queue, [{ body: { tag, n: 7 } }]);
      assert.deepEqual(await deadLetter(port, tag), upTo(5));
      for (const _ of upTo(2)) {
        await eventually(async () =>
          assert.deepEqual(
            (await port.deadLetters(queue)).filter((body) => body.tag === tag),
            [{ tag, n: 7 }],
          ),
        );
      }
      assert.deepEqual(
        (await port.deadLetters('data')).filter((body) => body.tag === tag),
        [],
      );
    },
    broken: (port) => ({ ...port, deadLetters: async () => [] }),
  },
  {
    promise: 'puts dead letters back into the queue with redrive',
    async check(port) {
      const tag = fresh('tag');
      await port.send(queue, [{ body: { tag } }]);
      await deadLetter(port, tag);
      assert.ok((await port.redrive(queue)) >= 1);
      const message = await one(port, tag);
      await port.ack(queue, message.receipt);
      assert.deepEqual(
        (await port.deadLetters(queue)).filter((body) => body.tag === tag),
        [],
      );
    },
    broken: (port) => ({ ...port, redrive: async () => 1 }),
  },
];
