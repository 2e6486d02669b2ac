/** Looks after the read models of a running home, as the function of the projections does on AWS. */
import type { Platform } from '../../domain/ports.ts';
import { maintainProjections } from '../../projections/engine/maintain.ts';
import type { Projection } from '../../projections/engine/projection.ts';

const everyMilliseconds = 60_000;

/**
 * At once, with another try for all that stands still, and then every minute. The function ends it; a rebuild that is cut off goes on at
 * the next start.
 */
export function startMaintenance(platform: Platform, projections: Projection[]): () => Promise<void> {
  const stopping = Promise.withResolvers<void>();
  let stopped = false;

  async function work(): Promise<void> {
    for (let retryNow = true; !stopped; retryNow = false) {
      await maintainProjections(platform, projections, { stop: () => stopped, retryNow });
      let timer: NodeJS.Timeout | undefined;
      const pause = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, everyMilliseconds);
      });
      await Promise.race([pause, stopping.promise]);
      clearTimeout(timer);
    }
  }

  const working = work();
  return async () => {
    stopped = true;
    stopping.resolve();
    await working;
  };
}
