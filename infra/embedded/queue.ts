/** The `Queue` port on SQLite. A send notifies waiting receivers, so nothing polls. */
import type { JsonObject, Queue, QueueName, Received } from '../../domain/ports.ts';
import { maxReceives } from '../../processors/index.ts';
import { LimitExceeded, maxDelaySeconds, maxReceive, messageText } from '../limits.ts';
import type { Chaos } from './chaos.ts';
import type { Database } from './database.ts';
import { makeSignal } from './signal.ts';

export type EmbeddedQueue = Queue & {
  /**
   * Makes the messages visible that a previous process had received, however long ago. That receive is not counted.
   * Also shortens delays over the maximum, which appear when the clock was set back. Call it before the first receive.
   */
  giveBack(): Promise<void>;
  /** Ends all waits. Every later receive returns no messages. */
  stop(): void;
};

export function makeQueue(db: Database, now: () => number, chaos?: Chaos): EmbeddedQueue {
  const changed = { job: makeSignal(), data: makeSignal() };
  let stopped = false;

  /** Returns the time at which the next message becomes visible. */
  const nextAt = (queue: QueueName): number | undefined => {
    const row = db
      .sql('SELECT visible_at AS at FROM messages WHERE queue = ? AND dead = 0 ORDER BY visible_at LIMIT 1')
      .get(queue);
    return row?.at == null ? undefined : Number(row.at);
  };

  /** Messages of the group that has the fewest in hand come first. */
  function take(queue: QueueName, max: number, visibilitySeconds: number): Received[] {
    const time = now();
    db.sql('UPDATE messages SET dead = 1 WHERE queue = ? AND dead = 0 AND visible_at <= ? AND receives >= ?').run(
      queue,
      time,
      maxReceives,
    );
    const rows = db
      .sql(
        `SELECT id, receives, body, (
           SELECT count(*) FROM messages AS held
           WHERE held.queue = ?1 AND held.sender = messages.sender AND held.visible_at > ?2 AND held.receives > 0
         ) AS held
         FROM messages WHERE queue = ?1 AND dead = 0 AND visible_at <= ?2 ORDER BY held, visible_at, id LIMIT ?3`,
      )
      .all(queue, time, max);
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
      const texts = messages.map((message) => {
        const { delaySeconds: delay = 0, group = '' } = message;
        return { text: messageText(message), delay, group };
      });
      if (texts.length === 0) return;
      await db.write(() => {
        const insert = db.sql('INSERT INTO messages (queue, visible_at, sender, body) VALUES (?, ?, ?, ?)');
        for (const { text, delay, group } of chaos?.shuffled(texts) ?? texts)
          insert.run(queue, now() + delay * 1000, group, text);
      });
      changed[queue].notify();
    },

    async receive(queue, { max, visibilitySeconds, waitSeconds = 0 }) {
      if (!Number.isInteger(max) || max < 1 || max > maxReceive)
        throw new LimitExceeded(`a receive must ask for 1 to ${maxReceive} messages, not ${max}`);
      const until = now() + waitSeconds * 1000;
      while (!stopped) {
        const change = changed[queue].next();
        const at = nextAt(queue);
        if (at !== undefined && at <= now()) {
          const received = await db.write(() => take(queue, max, visibilitySeconds));
          if (received.length > 0) return received;
        }
        const remaining = until - now();
        if (remaining <= 0) break;
        const visibleAt = nextAt(queue);
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
              'UPDATE messages SET dead = 0, receives = 0, visible_at = ?1 WHERE queue = ?2 AND (dead = 1 OR (visible_at <= ?1 AND receives >= ?3))',
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

    async giveBack() {
      await db.write(() => {
        const time = now();
        db.sql(
          'UPDATE messages SET visible_at = min(visible_at, ?), receives = receives - 1 WHERE receives > 0 AND dead = 0',
        ).run(time);
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
