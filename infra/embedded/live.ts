/** The live socket of the embedded home: at `/live` on the API's own port. */
import type { IncomingMessage, Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { longestMs, removeConnection } from '../../api/live/connections.ts';
import { admit } from '../../api/live/handshake.ts';
import { pushLive } from '../../api/live/push.ts';
import { requireHost } from '../../api/origins.ts';
import type { Platform } from '../../domain/ports.ts';
import { projections } from '../../projections/index.ts';
import type { Sockets } from './sockets.ts';

export type LiveSocket = {
  /** There is news of these accounts. */
  wake(accounts: Iterable<string>): void;
  /** Ends all sockets and what is being done for them. */
  stop(): Promise<void>;
};

export function openLive(
  server: Server,
  sockets: Sockets,
  platform: Platform,
  trustedHosts: readonly string[],
): LiveSocket {
  const live = {
    platform,
    followers: projections,
    sleep: async (milliseconds: number) => void (await sleep(milliseconds)),
    openingMs: 0,
  };
  const underway = new Set<Promise<unknown>>();
  const accounts = new Map<string, string>();
  let stopped = false;

  function track(work: Promise<unknown>): void {
    const done = work
      .catch((error) => platform.log.error('a live socket was not served', {}, error))
      .finally(() => underway.delete(done));
    underway.add(done);
  }

  sockets.listen(server, {
    path: '/live',
    longestMs,
    async admit(request: IncomingMessage, id: string) {
      const { host, origin } = request.headers;
      requireHost(request, trustedHosts);
      const query = new URLSearchParams(request.url?.split('?')[1]);
      const [ticket, since] = [query.get('ticket') ?? undefined, query.get('since') ?? undefined];
      accounts.set(id, (await admit(platform, { ticket, since, origin, host }, id)).account);
    },
    opened: (id) => track(pushLive(live, accounts.get(id) ?? '')),
    closed(id) {
      accounts.delete(id);
      track(removeConnection(platform, id));
    },
  });

  return {
    wake(some) {
      if (stopped) return;
      for (const account of some) track(pushLive(live, account));
    },
    async stop() {
      stopped = true;
      await sockets.stop();
      while (underway.size > 0) await Promise.all(underway);
    },
  };
}
