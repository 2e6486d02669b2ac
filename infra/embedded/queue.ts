/** The `Queue` port on SQLite. A send wakes waiting receivers, so nothing polls. */
import type { JsonObject, Queue, QueueName, Received } from '../../domain/ports.ts';
import { maxReceives } from '../../processors/index.ts';
import { LimitExceeded, maxDelaySeconds, maxReceive, messageText } from '../limits.ts';
import type { Chaos } from './chaos.ts';
import type { Database } from './database.ts';
import { makeSignal } from './signal.ts';

export type EmbeddedQueue = Omit<Queue, 'receive'> & {
  receive(
    queue: QueueName,
    options: Parameters<Queue['receive']>[1] & {
      /** Leaves messages of these types to other receivers. */
      except?: readonly string[];
    },
  ): Promise<Received[]>;
  /**
   * Makes the messages visible that a previous process had received, however long ago. Their last receive is not
   * counted, because the process failed and not the message. After several crashes it is counted, because the message
   * may be the cause. A message that had failed before, and waited for its next receive, has one more. Also shortens
   * delays over the maximum, which appear when the clock was set back. Call it before the first receive.
   */
  giveBack(): Promise<void>;
  /** Notes that the process ends without a crash. */
  leave(): Promise<void>;
  /** Ends all waits. Every later receive returns no messages. */
  stop(): void;
};

/** The receives of this many crashes are not counted. Other messages in hand are not the cause of a crash. */
const freeCrashes = 10;

/** Ends a query of messages with the parameters `queue` and `except` as JSON. */
const available =
  "queue = ? AND dead = 0 AND coalesce(json_extract(body, '$.type'), '') NOT IN (SELECT value FROM json_each(?))";

export function makeQueue(db: Database, now: () => number, chaos?: Chaos): EmbeddedQueue {
  const changed = { job: makeSignal(), data: makeSignal() };
  let stopped = false;

  /** Returns the time at which the next message becomes visible. */
  const nextAt = (queue: QueueName, except = '[]'): number | undefined => {
    const row = db
      .sql(`SELECT visible_at AS at FROM messages WHERE ${available} ORDER BY visible_at LIMIT 1`)
      .get(queue, except);
    return row?.at == null ? undefined : Number(row.at);
  };

  function take(queue: QueueName, except: string, max: number, visibilitySeconds: number): Received[] {
    const time = now();
    db.sql('UPDATE messages SET dead = 1 WHERE queue = ? AND dead = 0 AND visible_at <= ? AND receives >= ?').run(
      queue,
      time,
      maxReceives,
    );
    const rows = db
      .sql(
        `SELECT id, receives, body FROM messages WHERE ${available} AND visible_at <= ? ORDER BY visible_at, id LIMIT ?`,
      )
      .all(queue, except, time, max);
    return rows.map(({ id, receives, body }) => {
      // Chaos: the message stays visible, so it is delivered twice.
      const hidden = chaos?.chance(0.05) ? 0 : visibilitySeconds * 1000;
      db.sql('UPDATE messages SET receives = receives + 1, visible_at = ? WHERE id = ?').run(time + hidden, id ?? null);
      return {
        body: JSON.parse(String(body)),
        receipt: `${id}.${Number(receives) + 1}`,
        receives: Number(receives) + 1,
      };
    });
  }

  return {
    async send(queue, messages) {
      const texts = messages.map((message) => ({ text: messageText(message), delay: message.delaySeconds ?? 0 }));
      if (texts.length === 0) return;
      await db.write(() => {
        const insert = db.sql('INSERT INTO messages (queue, visible_at, body) VALUES (?, ?, ?)');
        for (const { text, delay } of chaos?.shuffled(texts) ?? texts) insert.run(queue, now() + delay * 1000, text);
      });
      changed[queue].notify();
    },

    async receive(queue, { max, visibilitySeconds, waitSeconds = 0, except: types = [] }) {
      if (!Number.isInteger(max) || max < 1 || max > maxReceive)
        throw new LimitExceeded(`a receive must ask for 1 to ${maxReceive} messages, not ${max}`);
      const except = JSON.stringify(types);
      const until = now() + waitSeconds * 1000;
      while (!stopped) {
        const change = changed[queue].next();
        const at = nextAt(queue, except);
        if (at !== undefined && at <= now()) {
          const received = await db.write(() => take(queue, except, max, visibilitySeconds));
          if (received.length > 0) return received;
        }
        const remaining = until - now();
        if (remaining <= 0) break;
        const visibleAt = nextAt(queue, except);
        await change.within(Math.min(remaining, visibleAt === undefined ? remaining : visibleAt - now()));
      }
      return [];
    },

    async ack(queue, receipt) {
      const { id, receives } = parseReceipt(receipt);
      await db.write(() =>
        db
          .sql('DELETE FROM messages WHERE id = ? AND queue = ? AND receives = ? AND dead = 0')
          .run(id, queue, receives),
      );
    },

    async extend(queue, receipt, seconds) {
      const { id, receives } = parseReceipt(receipt);
      await db.write(() =>
        db
          .sql('UPDATE messages SET visible_at = ? WHERE id = ? AND queue = ? AND receives = ? AND dead = 0')
          .run(now() + seconds * 1000, id, queue, receives),
      );
      changed[queue].notify();
    },

    async deadLetters(queue) {
      return db
        .sql(
          'SELECT body FROM messages WHERE queue = ? AND (dead = 1 OR (visible_at <= ? AND receives >= ?)) ORDER BY id LIMIT 1000',
        )
        .all(queue, now(), maxReceives)
        .map(({ body }): JsonObject => JSON.parse(String(body)));
    },

    async redrive(queue) {
      const count = await db.write(() =>
        Number(
          db
            .sql(
              'UPDATE messages SET dead = 0, receives = 0, crashes = 0, visible_at = ?1 WHERE queue = ?2 AND (dead = 1 OR (visible_at <= ?1 AND receives >= ?3))',
            )
            .run(now(), queue, maxReceives).changes,
        ),
      );
      changed[queue].notify();
      return count;
    },

    async isWaiting(queue) {
      return (nextAt(queue) ?? Number.POSITIVE_INFINITY) <= now();
    },

    async leave() {
      await db.write(() => {
        // The next start adds one.
        db.sql('UPDATE messages SET crashes = crashes - 1 WHERE receives > 0 AND dead = 0').run();
      });
    },

    async giveBack() {
      await db.write(() => {
        const time = now();
        db.sql(
          'UPDATE messages SET visible_at = min(visible_at, ?1), receives = receives - (crashes < ?2), ' +
            'crashes = crashes + 1 WHERE receives > 0 AND dead = 0',
        ).run(time, freeCrashes);
        db.sql('UPDATE messages SET visible_at = ?1 WHERE dead = 0 AND visible_at > ?1 + ?2').run(
          time,
          maxDelaySeconds * 1000,
        );
      });
    },

    stop() {
      stopped = true;
      for (const signal of Object.values(changed)) signal.notify();
    },
  };
}

/** A receipt is valid for one receive. A worker that was too slow cannot acknowledge a message of the next worker. */
function parseReceipt(receipt: string): { id: number; receives: number } {
  const [id, receives] = receipt.split('.').map(Number);
  return { id: id ?? 0, receives: receives ?? 0 };
}
