/**
 * Restarts a server over one data folder after each kill, and repeats the clients' requests until they are answered.
 */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Body, type Client, client } from '../acceptance/client.ts';
import { type KillableServer, startKillableServer } from './killable-server.ts';

/**
 * How one life of the server ends. `fault` kills it at a boundary (`*@37`), `killAfter` that many ms after its start.
 * Otherwise it runs until `end`. `chaos` seeds the faults of its feeds and queues.
 */
export type PlannedKill = { fault?: string; killAfter?: number; chaos?: number };

/** A wrong answer of a live server. A restart does not repair it. */
export class Unexpected extends Error {}

export type Restarts = {
  /**
   * Does the work with the current server. If the server is killed, repeats it with the next, so it must be idempotent.
   */
  steadily<T>(work: (api: Client) => Promise<T>): Promise<T>;
  /** Sends a POST with its own `Idempotency-Key` until it is answered. */
  post(path: string, body?: unknown, key?: string): Promise<Body>;
  /** How many restarts have begun. */
  begun(): number;
  /** Ends the last life, cleanly or not. */
  end(how: 'stop' | 'kill'): Promise<void>;
};

/**
 * The first restarts end by `plannedKills`, the next one runs until `end`. The clock of each life starts a minute after
 * the end of the life before. Requests are sent with `token`.
 */
export function startRestarts(data: string, token: string, plannedKills: PlannedKill[], clockStart: number): Restarts {
  const began = performance.now();
  let begun = 0;
  let current: Promise<Life> | undefined;
  type Life = { server: KillableServer; over: boolean };

  async function begin(): Promise<Life> {
    for (;;) {
      const { fault = '', killAfter, chaos } = plannedKills[begun] ?? {};
      // After a minute the server accepts the key of a request again that was interrupted by the kill
      const now = clockStart + 61_000 * begun++ + (performance.now() - began);
      const environment = {
        LISTBACKUP_NOW: String(now),
        ...(chaos !== undefined && { LISTBACKUP_CHAOS: String(chaos) }),
      };
      const server = await startKillableServer(data, fault, {
        environment,
        ...(killAfter !== undefined && { killAfter }),
      });
      if (!server) continue;
      const life = { server, over: false };
      server.ended.then(() => {
        life.over = true;
      });
      return life;
    }
  }

  async function alive(): Promise<Life> {
    current ??= begin();
    const mine = current;
    const life = await mine;
    if (!life.over) return life;
    // Of several waiting callers the first starts the next life
    if (current === mine) current = undefined;
    return alive();
  }

  async function steadily<T>(work: (api: Client) => Promise<T>): Promise<T> {
    for (;;) {
      const life = await alive();
      try {
        return await work(client(life.server.url, token));
      } catch (error) {
        // If the server is gone, fetch throws a TypeError and no other error
        if (!(error instanceof TypeError)) throw error;
        if ((await Promise.race([life.server.ended, pause(60_000, 'alive' as const, { ref: false })])) === 'alive')
          throw error;
      }
    }
  }

  return {
    steadily,
    post(path, body, key = randomUUID()) {
      return steadily(async (api) => {
        for (;;) {
          const answer = await api.call('POST', path, { body, headers: { 'idempotency-key': key } });
          if (answer.status < 300) return answer.body;
          if (answer.body.code !== 'idempotency-in-progress') {
            throw new Unexpected(`POST ${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
          }
          await pause(100);
        }
      });
    },
    begun: () => begun,
    async end(how) {
      const { server } = await alive();
      if (how === 'kill') server.kill();
      else {
        await server.stop().catch(async (error) => {
          // The planned kill may strike while it closes
          if ((await server.ended) !== 'SIGKILL') throw error;
        });
      }
      await server.ended;
    },
  };
}
