/** The contract of the port Push. Others may push to the harness's connections too, so checks tag their own texts. */
import assert from 'node:assert/strict';
import type { Push } from '../../domain/ports.ts';
import { eventually } from './eventually.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

/** The client side of an open connection. */
export type PushConnection = {
  id: string;
  /** All texts received so far. */
  received: string[];
  isClosed(): boolean;
  /** Closes the connection from the client side and waits for it. */
  leave(): Promise<void>;
};

export type PushHarness = { push: Push; connect(): Promise<PushConnection> };

const tagged = ({ received }: PushConnection, tag: string) => received.filter((text) => text.startsWith(tag));

/** Waits until `count` texts that begin with the tag have arrived, and returns them. */
async function arrived(connection: PushConnection, tag: string, count: number): Promise<string[]> {
  await eventually(async () => assert.ok(tagged(connection, tag).length >= count, 'texts are missing'));
  return tagged(connection, tag);
}

export const pushPromises: PortPromise<PushHarness>[] = [
  {
    promise: 'delivers texts in the order of sending, each once and unchanged',
    async check({ push, connect }) {
      const connection = await connect();
      const tag = fresh('tag');
      const texts = upTo(30).map((n) => `${tag} ${n} "été" 日本語 🗄 \u0000\n`);
      for (const text of texts) assert.equal(await push.send(connection.id, text), 'sent');
      assert.deepEqual(await arrived(connection, tag, texts.length), texts);
      await connection.leave();
    },
    broken: (port) => {
      let held: { id: string; text: string } | undefined;
      return {
        ...port,
        push: {
          ...port.push,
          async send(id, text) {
            const before = held;
            held = before ? undefined : { id, text };
            if (held) return 'sent';
            const outcome = await port.push.send(id, text);
            if (before) await port.push.send(before.id, before.text);
            return outcome;
          },
        },
      };
    },
  },
  {
    promise: 'delivers a text of 128 KB and refuses a larger one with that reason',
    async check({ push, connect }) {
      const connection = await connect();
      const tag = fresh('tag');
      const text = tag + 'é'.repeat(64 * 1024 - tag.length) + 'x'.repeat(tag.length);
      assert.equal(Buffer.byteLength(text), 128 * 1024);
      assert.equal(await push.send(connection.id, text), 'sent');
      assert.deepEqual(await arrived(connection, tag, 1), [text]);
      await assert.rejects(push.send(connection.id, `${text}x`), /128 KB/);
      await connection.leave();
    },
    broken: (port) => ({
      ...port,
      push: { ...port.push, send: (id, text) => port.push.send(id, text.slice(0, 60_000)) },
    }),
  },
  {
    promise: 'delivers a text only to its connection',
    async check({ push, connect }) {
      const [one, two] = [await connect(), await connect()];
      const tag = fresh('tag');
      await push.send(one.id, `${tag} one`);
      await push.send(two.id, `${tag} two`);
      assert.deepEqual(await arrived(two, tag, 1), [`${tag} two`]);
      assert.deepEqual(await arrived(one, tag, 1), [`${tag} one`]);
      await Promise.all([one.leave(), two.leave()]);
    },
    broken: (port) => {
      const all: string[] = [];
      return {
        async connect() {
          const connection = await port.connect();
          all.push(connection.id);
          return connection;
        },
        push: {
          ...port.push,
          async send(_, text) {
            await Promise.all(all.map((id) => port.push.send(id, text)));
            return 'sent';
          },
        },
      };
    },
  },
  {
    promise: 'reports a closed connection and an unknown one as gone',
    async check({ push, connect }) {
      const connection = await connect();
      assert.equal(await push.send(connection.id, fresh('tag')), 'sent');
      await connection.leave();
      await eventually(async () => assert.equal(await push.send(connection.id, fresh('tag')), 'gone'));
      assert.equal(
        await push.send(
          connection.id.replace(/.$/, (last) => (last === '0' ? '1' : '0')),
          fresh('tag'),
        ),
        'gone',
      );
    },
    broken: (port) => ({
      ...port,
      push: {
        ...port.push,
        async send(id, text) {
          await port.push.send(id, text);
          return 'sent';
        },
      },
    }),
  },
  {
    promise: 'closes a connection on both sides, also repeatedly',
    async check({ push, connect }) {
      const [ended, other] = [await connect(), await connect()];
      await push.close(ended.id);
      await eventually(async () => assert.ok(ended.isClosed(), 'the connection is still open'));
      await eventually(async () => assert.equal(await push.send(ended.id, fresh('tag')), 'gone'));
      await push.close(ended.id);
      assert.equal(await push.send(other.id, fresh('tag')), 'sent');
      await other.leave();
    },
    broken: (port) => ({ ...port, push: { ...port.push, close: async () => {} } }),
  },
];
