/** Makes an engine over the tools of a thread. */
import { type SourceProblem, type SourceSession, temporary } from '../../connectors/connector.ts';
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
  const workWith = (stop?: AbortSignal): EngineWork => {
    let lastProgress = performance.now();
    const progressAt = () => lastProgress;
    return {
      ...tools,
      moving: (work) => whileMoving(work, () => new Error('the work made no progress for an hour'), progressAt),
      withSession: (...work) => sessions.use(progressAt, ...work),
      takePacker,
      proceed() {
        lastProgress = performance.now();
        stop?.throwIfAborted();
        return tools.beat();
      },
    };
  };
  return {
    plan: (request, calls, stop) => listSource(workWith(stop), request, calls),
    store: (request, calls, stop) => storePart(workWith(stop), request, calls),
    async commit(request, calls, stop) {
      const work = workWith(stop);
      return work.moving(mergeParts(work, request, calls));
    },
    close: sessions.close,
  };
}

/** The longest time for a frame, a page, a pack over a slow network, or to open a source (ms). */
const longestStepMs = 3600_000;
const checkMs = 60_000;

/** Fails when the work makes no progress for an hour, because a promise that never settles would hold its run. */
async function whileMoving<T>(work: Promise<T>, stalled: () => Error, progressAt = () => 0): Promise<T> {
  const start = performance.now();
  const over = Promise.withResolvers<never>();
  const timer = setInterval(() => {
    if (performance.now() - Math.max(start, progressAt()) >= longestStepMs) over.reject(stalled());
  }, checkMs).unref();
  try {
    return await Promise.race([work, over.promise]);
  } finally {
    clearInterval(timer);
  }
}

function stalledSource(): SourceProblem {
  const message = 'The source gave nothing for an hour. Check it and its network.';
  return temporary('unreachable', message);
}

/**
 * `turn`: the last reading, because readings of one session must not overlap. `stalled`: the error of a reading that
 * may still go on, so that nothing else may use the session.
 */
type Held = {
  session: Promise<SourceSession>;
  users: number;
  turn: Promise<unknown>;
  stalled?: Error;
  closing?: NodeJS.Timeout | undefined;
};

/** Sessions by run. Without `keepMs` each piece of work opens its own. */
function makeSessions(keepMs: number) {
  const held = new Map<string, Held>();

  function take(name: string, source: SourceAccess): Held {
    const known = held.get(name) ?? {
      session: whileMoving(openSession(source), stalledSource),
      users: 0,
      turn: Promise.resolve(),
    };
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
      progressAt: () => number,
      runId: string,
      source: SourceAccess,
      work: (session: SourceSession) => Promise<T>,
      isReading = false,
    ): Promise<T> {
      const name = `${runId} ${source.settings}`;
      const one = take(name, source);
      try {
        const session = await one.session;
        const attempt = async () => {
          if (one.stalled) throw one.stalled;
          return whileMoving(work(session), () => (one.stalled = stalledSource()), progressAt);
        };
        if (!isReading) return await attempt();
        const turn = one.turn.then(attempt);
        one.turn = turn.catch(() => {});
        return await turn;
      } catch (error) {
        // The next attempt opens the source again.
        forget(name, one);
        throw error;
      } finally {
        one.users--;
        if (one.users === 0) {
          if (held.get(name) === one)
            one.closing = setTimeout(() => void close(name, one).catch(() => {}), keepMs).unref();
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
    let isReleased = false;
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
      async add(run, chunks) {
        // The rest of work that has failed must not open a pack that nothing closes.
        if (isReleased) throw new Error('the packer was released');
        return shared.packer.add(run, chunks);
      },
      leave,
      release() {
        leave();
        isReleased = true;
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
