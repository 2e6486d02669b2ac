/** The live socket of the self-hosted deployment: `/live` on the port of the API. */
import type { IncomingMessage, Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { longestMs, removeConnection } from '../../api/live/connections.ts';
import { admit } from '../../api/live/handshake.ts';
import { pushLive } from '../../api/live/push.ts';
import { requireHost } from '../../api/origins.ts';
import type { Platform } from '../../domain/ports.ts';
import { projections } from '../../projections/index.ts';
import type { Sockets } from './sockets.ts';

const progressMs = 1000;

export type LiveSocket = {
  /** Sends new messages to the sockets of these accounts. Call it after each commit of theirs. */
  notify(accounts: Iterable<string>): void;
  /** Sends the progress of a run to the sockets of its account, at most once a second. */
  progress(account: string, runId: string): void;
  /** Closes all sockets. Resolves when the sends in progress have ended. */
  stop(): Promise<void>;
};

/** Serves the live socket on the HTTP server. Host, origin and ticket are checked before the upgrade. */
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
    patienceMs: 2_000,
  };
  const pending = new Set<Promise<unknown>>();
  /** The accounts of the sockets, by connection. A commit of any other account costs nothing. */
  const accounts = new Map<string, string>();
  /** When the progress of a run was sent last. */
  const sentAt = new LRUCache<string, number>({ max: 1000 });
  let stopped = false;

  function track(work: Promise<unknown>): void {
    const done = work
      .catch((error) => platform.log.error('messages could not be sent to a live socket', {}, error))
      .finally(() => pending.delete(done));
    pending.add(done);
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
    notify(accountIds) {
      if (stopped) return;
      const listening = new Set(accounts.values());
      for (const account of accountIds) if (listening.has(account)) track(pushLive(live, account));
    },
    progress(account, runId) {
      const now = performance.now();
      const isListening = [...accounts.values()].includes(account);
      if (stopped || !isListening || now - (sentAt.get(runId) ?? -progressMs) < progressMs) return;
      sentAt.set(runId, now);
      track(pushLive(live, account, runId));
    },
    async stop() {
      stopped = true;
      await sockets.stop();
      while (pending.size > 0) await Promise.all(pending);
    },
  };
}
