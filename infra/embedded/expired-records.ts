/**
 * Removes expired records every minute, until none is left. The rate therefore follows their arrival. Each batch is a
 * write of its own, so that other writes and requests get their turn in between.
 */
import type { Log } from '../../domain/ports.ts';
import type { Database } from './database.ts';

const everyMilliseconds = 60_000;
/** Takes about ten milliseconds, which is how long other writes wait for it. */
const batchSize = 500;

/** Removes now and then every minute. Returns a function that stops it, and resolves when nothing is under way. */
export function startRemovingExpired(db: Database, now: () => number, log: Log): () => Promise<void> {
  let stopped = false;
  let removing: Promise<void> | undefined;

  async function removeAll(): Promise<void> {
    while (!stopped && (await removeBatch(db, now())) === batchSize);
  }

  function start(): void {
    removing ??= removeAll()
      .catch((error: unknown) => log.error('expired records could not be removed', {}, error))
      .finally(() => {
        removing = undefined;
      });
  }

  start();
  const timer = setInterval(start, everyMilliseconds).unref();
  return async () => {
    stopped = true;
    clearInterval(timer);
    await removing;
  };
}

/** Returns the number of removed records. `now` is in milliseconds since the epoch. */
function removeBatch(db: Database, now: number): Promise<number> {
  return db.write(() =>
    Number(
      db
        .sql(
          `DELETE FROM records WHERE (pk, sk) IN
             (SELECT pk, sk FROM records WHERE expires_at <= ? ORDER BY expires_at LIMIT ${batchSize})`,
        )
        .run(Math.floor(now / 1000)).changes,
    ),
  );
}
