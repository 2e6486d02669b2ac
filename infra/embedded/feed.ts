/** New commits as they come, for what follows the event store in this process. */
import type { Log, StreamNotification } from '../../domain/ports.ts';
import type { Chaos } from './chaos.ts';
import type { Database } from './database.ts';
import type { Signal } from './signal.ts';

export type FeedNotification = StreamNotification & {
  /** Grows with every commit of this machine. */
  position: number;
};

export type FeedOptions = {
  db: Database;
  appended: Signal;
  log: Log;
  /** Whose place in the feed it is. */
  consumer: string;
  /** Gets commits at least once, in order of position. When it fails, or its place cannot be kept, it gets the same ones again, a while later. */
  handle(notifications: FeedNotification[]): Promise<void>;
  /** At most so many at once (default 100, as DynamoDB Streams). */
  batch?: number;
  chaos?: Chaos | undefined;
};

export type Feed = {
  /** Resolves once everything appended so far has been handled. */
  caughtUp(): Promise<void>;
  /** Finishes the batch in hand. */
  stop(): Promise<void>;
};

const longestPause = 10_000;

/** Starts where the consumer was; a new one starts at the first commit ever. */
export function startFeed({ db, appended, log, consumer, handle, batch = 100, chaos }: FeedOptions): Feed {
  let position = Number(db.sql('SELECT position FROM feeds WHERE consumer = ?').get(consumer)?.position ?? 0);
  /** Up to here all is handled; what `place` is ahead of it came late, or is in hand. */
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

  /** With trouble some come again, some late and all shuffled. */
  function disturbed(notifications: FeedNotification[]): FeedNotification[] {
    if (!chaos) return notifications;
    const due = [...late, ...notifications];
    late = notifications.length === 0 ? [] : due.filter(() => chaos.chance(0.1));
    const now = due.filter((each) => !late.includes(each));
    return chaos.shuffled([...now, ...now.filter(() => chaos.chance(0.2))]);
  }

  async function work(): Promise<void> {
    let pause = 0;
    while (!stopped) {
      const more = appended.next();
      const before = { late, position };
      try {
        const notifications = read();
        if (notifications.length === 0 && late.length === 0) {
          await Promise.race([more.within(), stopping.promise]);
          continue;
        }
        const chosen = disturbed(notifications);
        if (chosen.length > 0) await handle(chosen);
        position = notifications.at(-1)?.position ?? position;
        await keep(Math.min(position, ...late.map((each) => each.position - 1)));
        pause = 0;
      } catch (error) {
        ({ late, position } = before);
        pause = Math.min(Math.max(pause * 2, 50), longestPause);
        log.error('a follower of the feed failed; it gets the same commits again', { consumer, pause }, error);
        await Promise.race([new Promise((resolve) => setTimeout(resolve, pause).unref()), stopping.promise]);
      }
    }
  }

  async function keep(handled: number): Promise<void> {
    await db.write(() =>
      db
        .sql(
          'INSERT INTO feeds (consumer, position) VALUES (?, ?) ON CONFLICT DO UPDATE SET position = excluded.position',
        )
        .run(consumer, handled),
    );
    done = handled;
    for (const each of waiting.splice(0)) {
      if (each.position <= handled) each.resolve();
      else waiting.push(each);
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
