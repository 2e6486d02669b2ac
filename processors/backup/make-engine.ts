/** Makes an engine over the tools of a thread. */
import type { SourceSession } from '../../connectors/connector.ts';
import type { VaultKeys } from '../../vault/keys.ts';
import { openPacker, type Packer } from '../../vault/packer.ts';
import type { Engine, EngineTools, EngineWork } from './engine.ts';
import { listSource } from './list-source.ts';
import { mergeParts } from './merge-parts.ts';
import { openSession } from './open-source.ts';
import type { SourceAccess } from './source-access.ts';
import { storePart } from './store-part.ts';

export function makeEngine(tools: EngineTools): Engine {
  const sessions = makeSessions(tools.keepSessionMs);
  const takePacker = makePackers(tools);
  const workWith = (stop?: AbortSignal): EngineWork => ({
    ...tools,
    withSession: sessions.use,
    takePacker,
    proceed() {
      stop?.throwIfAborted();
      return tools.beat();
    },
  });
  return {
    plan: (request, calls, stop) => listSource(workWith(stop), request, calls),
    store: (request, calls, stop) => storePart(workWith(stop), request, calls),
    commit: (request, calls, stop) => mergeParts(workWith(stop), request, calls),
    close: sessions.close,
  };
}

/** `turn`: the last reading, because readings of one session must not overlap. */
type Held = {
  session: Promise<SourceSession>;
  users: number;
  turn: Promise<unknown>;
  closing?: NodeJS.Timeout | undefined;
};

/** Sessions by run. Without `keepMs` each piece of work opens its own. */
function makeSessions(keepMs: number) {
  const held = new Map<string, Held>();

  function take(name: string, source: SourceAccess): Held {
    const known = held.get(name) ?? { session: openSession(source), users: 0, turn: Promise.resolve() };
    if (keepMs > 0) held.set(name, known);
    clearTimeout(known.closing);
    known.users++;
    return known;
  }

  /** The next work opens a new session. This one closes when nothing uses it. */
  function forget(name: string, one: Held): void {
    if (held.get(name) === one) held.delete(name);
  }

  async function close(name: string, one: Held): Promise<void> {
    clearTimeout(one.closing);
    forget(name, one);
    await (await one.session.catch(() => undefined))?.close();
  }

  return {
    async use<T>(
      runId: string,
      source: SourceAccess,
      work: (session: SourceSession) => Promise<T>,
      isReading = false,
    ): Promise<T> {
      const name = `${runId} ${source.settings}`;
      const one = take(name, source);
      try {
        const session = await one.session;
        if (!isReading) return await work(session);
        const turn = one.turn.then(() => work(session));
        one.turn = turn.catch(() => {});
        return await turn;
      } catch (error) {
        // The next attempt opens the source again.
        forget(name, one);
        throw error;
      } finally {
        one.users--;
        if (one.users === 0) {
          if (held.get(name) === one) one.closing = setTimeout(() => void close(name, one), keepMs).unref();
          else await close(name, one);
        }
      }
    },
    async close() {
      for (const [name, one] of [...held]) await close(name, one);
    },
  };
}

/** A batch that has read its files waits at most this long for others to fill its pack. */
const lingerMs = 2000;

/** `reading`: batches that may still add to the open pack. `users`: these, and batches that wait for their packs. */
type SharedPacker = { packer: Packer; reading: number; users: number; lingering?: NodeJS.Timeout | undefined };

/** One packer for all batches of an account that are in hand, so that small batches share packs. */
function makePackers(tools: EngineTools): EngineWork['takePacker'] {
  const all = new Map<string, SharedPacker>();
  return (account, keys) => {
    const name = `${account}/${keys.epoch}`;
    const shared = all.get(name) ?? { packer: packerOf(tools, account, keys), reading: 0, users: 0 };
    all.set(name, shared);
    shared.reading++;
    shared.users++;
    let isReading = true;
    const close = () => {
      clearTimeout(shared.lingering);
      shared.lingering = undefined;
      try {
        shared.packer.close();
      } catch {
        // The batches of this pack fail with the same error.
      }
    };
    const leave = () => {
      if (!isReading) return;
      isReading = false;
      if (--shared.reading === 0) close();
      else shared.lingering ??= setTimeout(close, lingerMs);
    };
    return {
      add: shared.packer.add,
      leave,
      release() {
        leave();
        if (--shared.users === 0) all.delete(name);
      },
    };
  };
}

function packerOf(tools: EngineTools, account: string, keys: VaultKeys): Packer {
  const { chunks, openBody, random } = tools;
  return openPacker({
    account,
    keys,
    chunks,
    openBody,
    random,
    register: (pack, record) => tools.register(account, pack, record),
    present: (packs) => tools.present(account, packs),
  });
}
