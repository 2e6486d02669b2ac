/** Makes an engine over the tools of a thread. */
import { type SourceProblem, type SourceSession, temporary } from '../../connectors/connector.ts';
import { withSignal } from '../../connectors/with-signal.ts';
import { Problem } from '../../domain/errors.ts';
import type { VaultKeys } from '../../vault/keys.ts';
import { openPacker, type Packer } from '../../vault/packer.ts';
import type { Engine, EngineTools, EngineWork } from './engine.ts';
import { listSource } from './list-source.ts';
import { mergeParts } from './merge-parts.ts';
import { openSession } from './open-source.ts';
import type { SourceAccess } from './source-access.ts';
import { storePart } from './store-part.ts';

/**
 * Work that is stopped ends at once where it can, because the signal reaches each call of the source. Work that does
 * not return `abandonMs` after its stop is abandoned.
 */
export function makeEngine(tools: EngineTools, { abandonMs = 5_000 } = {}): Engine {
  const sessions = makeSessions(tools.keepSessionMs);
  const takePacker = makePackers(tools);

  async function run<T>(stop: AbortSignal | undefined, act: (work: EngineWork) => Promise<T>): Promise<T> {
    const pace = startPace(stop ?? new AbortController().signal, abandonMs);
    try {
      return await act({
        ...tools,
        moving: (work) => whileMoving(work, () => new Error('the work made no progress for an hour'), pace),
        withSession: (...work) => sessions.use(pace, ...work),
        takePacker,
        proceed() {
          pace.proceed();
          return tools.beat();
        },
      });
    } finally {
      pace.end();
    }
  }

  return {
    plan: (request, calls, stop) => run(stop, (work) => listSource(work, request, calls)),
    store: (request, calls, stop) => run(stop, (work) => storePart(work, request, calls)),
    commit: (request, calls, stop) => run(stop, (work) => work.moving(mergeParts(work, request, calls))),
    close: sessions.close,
  };
}

/** `stopped` rejects with the reason of `stop` at once, and `abandoned` some seconds later. */
type Pace = {
  stop: AbortSignal;
  progressAt(): number;
  /** Notes progress. @throws the reason of `stop` */
  proceed(): void;
  stopped: Promise<never>;
  abandoned: Promise<never>;
};

function startPace(stop: AbortSignal, abandonMs: number): Pace & { end(): void } {
  const [stopped, abandoned] = [Promise.withResolvers<never>(), Promise.withResolvers<never>()];
  for (const { promise } of [stopped, abandoned]) promise.catch(() => {});
  let lastProgress = performance.now();
  let timer: NodeJS.Timeout | undefined;
  const onStop = () => {
    stopped.reject(stop.reason);
    timer = setTimeout(() => abandoned.reject(stop.reason), abandonMs);
  };
  if (stop.aborted) onStop();
  else stop.addEventListener('abort', onStop);
  return {
    stop,
    progressAt: () => lastProgress,
    proceed() {
      lastProgress = performance.now();
      stop.throwIfAborted();
    },
    stopped: stopped.promise,
    abandoned: abandoned.promise,
    end() {
      clearTimeout(timer);
      stop.removeEventListener('abort', onStop);
    },
  };
}

/** The longest time for a frame, a page, a pack over a slow network, or to open a source (ms). */
const longestStepMs = 3600_000;
const checkMs = 60_000;

/**
 * Fails when the work makes no progress for an hour, because a promise that never settles would hold its run. Also when
 * it is abandoned.
 */
async function whileMoving<T>(
  work: Promise<T>,
  stalled: () => Error,
  { progressAt, abandoned }: Pick<Pace, 'progressAt'> & Partial<Pace> = { progressAt: () => 0 },
): Promise<T> {
  const start = performance.now();
  const over = Promise.withResolvers<never>();
  const timer = setInterval(() => {
    if (performance.now() - Math.max(start, progressAt()) >= longestStepMs) over.reject(stalled());
  }, checkMs).unref();
  try {
    return await Promise.race(abandoned ? [work, over.promise, abandoned] : [work, over.promise]);
  } finally {
    clearInterval(timer);
  }
}

function stalledSource(): SourceProblem {
  const message = 'The source gave nothing for an hour. Check it and its network.';
  return temporary('unreachable', message);
}

/** Other work of the same run is repeated, with a session of its own. */
function leftSession(): Problem {
  return new Problem('unavailable', 'The source did not answer to work that was stopped. This work is repeated.');
}

/**
 * `turn`: the last reading, because readings of one session must not overlap. `stalled`: the error for all other work,
 * because a call of the session may still go on. It may still write into its frames.
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
      pace: Pace,
      runId: string,
      source: SourceAccess,
      work: (session: SourceSession) => Promise<T>,
      isReading = false,
    ): Promise<T> {
      pace.stop.throwIfAborted();
      const name = `${runId} ${source.settings}`;
      const one = take(name, source);
      try {
        const session = withSignal(await Promise.race([one.session, pace.stopped]), pace);
        const attempt = async () => {
          if (one.stalled) throw one.stalled;
          pace.stop.throwIfAborted();
          let isOver = false;
          const working = work(session).finally(() => {
            isOver = true;
          });
          return whileMoving(working, () => (one.stalled = stalledSource()), pace).catch((error) => {
            if (!isOver) one.stalled ??= leftSession();
            throw error;
          });
        };
        if (!isReading) return await attempt();
        const begun = Promise.withResolvers<void>();
        const turn = one.turn.then(() => {
          begun.resolve();
          return attempt();
        });
        one.turn = turn.catch(() => {});
        await Promise.race([begun.promise, pace.stopped]);
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
          // A session whose calls do not return may not close either.
          else if (one.stalled || pace.stop.aborted) void close(name, one).catch(() => {});
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
      close,
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
