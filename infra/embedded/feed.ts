/** Delivers new commits in order to the consumers of this process: the projections and the bus. */
import type { Log, StreamNotification } from '../../domain/ports.ts';
import type { Chaos } from './chaos.ts';
import type { Database } from './database.ts';
import type { Signal } from './signal.ts';

export type FeedNotification = StreamNotification & {
  /** Order of commits in the database file. */
  position: number;
};

export type FeedOptions = {
  db: Database;
  appended: Signal;
  log: Log;
  /** Name under which the position is stored. */
  consumer: string;
  /**
   * Receives each commit at least once, in order of position. If it fails, or if the position cannot be stored,
   * it receives the same commits again after a pause.
   */
  handle(notifications: FeedNotification[]): Promise<void>;
  /** Maximum number of commits per call of `handle`. Default 100, as for DynamoDB Streams. */
  batch?: number;
  chaos?: Chaos | undefined;
};

export type Feed = {
  /** Resolves once everything appended so far has been handled. */
  caughtUp(): Promise<void>;
  /** Resolves once the current batch is handled. */
  stop(): Promise<void>;
};

const longestPauseMs = 10_000;

/** Continues at the stored position of the consumer. A new consumer starts at the first commit. */
export function startFeed({ db, appended, log, consumer, handle, batch = 100, chaos }: FeedOptions): Feed {
  let position = Number(db.sql('SELECT position FROM feeds WHERE consumer = ?').get(consumer)?.position ?? 0);
  /** All commits up to here are handled. `position` may be ahead: at delayed commits, or at the current batch. */
  let done = position;
  let stopped = false;
  let late: FeedNotification[] = [];
  const stopping = Promise.withResolvers<void>();
  const waiting: { position: number; resolve(): void }[] = [];

  const read = () =>
    db
      .sql('SELECT position, stream, version FROM commits WHERE position > ? ORDER BY position LIMIT ?')
      .all(position, batch)
      .map(
        (row): FeedNotification => ({
          position: Number(row.position),
          stream: String(row.stream),
          version: Number(row.version),
        }),
      );

  /** With chaos: repeats some notifications, delays some and shuffles all. */
  function withChaos(notifications: FeedNotification[]): FeedNotification[] {
    if (!chaos) return notifications;
    const due = [...late, ...notifications];
    late = notifications.length === 0 ? [] : due.filter(() => chaos.chance(0.1));
    const now = due.filter((notification) => !late.includes(notification));
    return chaos.shuffled([...now, ...now.filter(() => chaos.chance(0.2))]);
  }

  async function work(): Promise<void> {
    let pause = 0;
    while (!stopped) {
      const nextAppend = appended.next();
      const before = { late, position };
      try {
        const notifications = read();
        if (notifications.length === 0 && late.length === 0) {
          await Promise.race([nextAppend.within(), stopping.promise]);
          continue;
        }
        const delivered = withChaos(notifications);
        if (delivered.length > 0) await handle(delivered);
        position = notifications.at(-1)?.position ?? position;
        await savePosition(Math.min(position, ...late.map((notification) => notification.position - 1)));
        pause = 0;
      } catch (error) {
        ({ late, position } = before);
        pause = Math.min(Math.max(pause * 2, 50), longestPauseMs);
        log.error('a feed consumer failed, the same commits will be delivered again', { consumer, pause }, error);
        await Promise.race([new Promise((resolve) => setTimeout(resolve, pause).unref()), stopping.promise]);
      }
    }
  }

  async function savePosition(handled: number): Promise<void> {
    await db.write(() =>
      db
        .sql(
          'INSERT INTO feeds (consumer, position) VALUES (?, ?) ON CONFLICT DO UPDATE SET position = excluded.position',
        )
        .run(consumer, handled),
    );
    done = handled;
    for (const waiter of waiting.splice(0)) {
      if (waiter.position <= handled) waiter.resolve();
      else waiting.push(waiter);
    }
  }

  const working = work().catch((error) => log.error('a feed stopped', { consumer }, error));
  return {
    caughtUp() {
      const newest = Number(db.sql('SELECT max(position) AS position FROM commits').get()?.position ?? 0);
      if (newest <= done) return Promise.resolve();
      return new Promise((resolve) => waiting.push({ position: newest, resolve }));
    },
    async stop() {
      stopped = true;
      stopping.resolve();
      await working;
    },
  };
}
