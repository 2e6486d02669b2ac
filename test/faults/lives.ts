/** A box that is killed and started again, over one data folder, and people who try again until they have their answer. */
import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { type Body, type Client, client } from '../acceptance/client.ts';
import { type Box, startBox } from './box-process.ts';

/** How one life of the box ends: at a boundary (`*@37`), so many milliseconds after its start, or not before it is told to. */
export type Fate = { fault?: string; killAfter?: number; chaos?: number };

/** What came while the box was alive, and should never come: no restart makes it good. */
export class Unexpected extends Error {}

export type Lives = {
  /**
   * Does that with the box as it is now. When the box is killed meanwhile, again with the next; so it has to be something that can be
   * repeated. `api` sends requests as `token`'s.
   */
  steadily<T>(work: (api: Client) => Promise<T>): Promise<T>;
  /** A POST under an `Idempotency-Key` of its own, sent until there is an answer to it. */
  post(path: string, body?: unknown, key?: string): Promise<Body>;
  /** How many lives have begun. */
  begun(): number;
  /** Ends the last life, cleanly or not. */
  end(how: 'stop' | 'kill'): Promise<void>;
};

/** The first lives end as `fates` say, the next goes on until `end`. Each life's clock starts a minute after the end of the one before. */
export function startLives(data: string, token: string, fates: Fate[], clockStart: number): Lives {
  const began = performance.now();
  let begun = 0;
  let current: Promise<Life> | undefined;
  type Life = { box: Box; over: boolean };

  async function begin(): Promise<Life> {
    for (;;) {
      const { fault = '', killAfter, chaos } = fates[begun] ?? {};
      // A request that died with its process may be tried again under its key after a minute
      const now = clockStart + 61_000 * begun++ + (performance.now() - began);
      const environment = {
        LISTBACKUP_NOW: String(now),
        ...(chaos !== undefined && { LISTBACKUP_TROUBLE: String(chaos) }),
      };
      const box = await startBox(data, fault, { environment, ...(killAfter !== undefined && { killAfter }) });
      if (!box) continue;
      const life = { box, over: false };
      box.ended.then(() => {
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
    // Of several who see it, the first starts the next
    if (current === mine) current = undefined;
    return alive();
  }

  async function steadily<T>(work: (api: Client) => Promise<T>): Promise<T> {
    for (;;) {
      const life = await alive();
      try {
        return await work(client(life.box.url, token));
      } catch (error) {
        // fetch fails with a TypeError, and with nothing else, when the other end is gone
        if (!(error instanceof TypeError)) throw error;
        if ((await Promise.race([life.box.ended, pause(60_000, 'alive' as const, { ref: false })])) === 'alive')
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
      const { box } = await alive();
      if (how === 'kill') box.kill();
      else {
        await box.stop().catch(async (error) => {
          // Its fate may come while it closes
          if ((await box.ended) !== 'SIGKILL') throw error;
        });
      }
      await box.ended;
    },
  };
}
