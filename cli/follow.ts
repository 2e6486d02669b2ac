/** Follows a run. The live socket or a timer says when to look. The state always comes from the API. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Api, answered, type Schemas } from './client.ts';
import { Refusal } from './refusal.ts';

export type Run = Schemas['Run'];

const endStatuses: readonly string[] = ['succeeded', 'partial', 'failed', 'cancelled'];
/** Milliseconds between requests. With the live socket they only cover lost messages. */
const pollEveryMs = { live: 5_000, polling: 700 };
/** How long the server may be unreachable. A restart takes less, and the run continues after it. */
const longestOutageMs = 60_000;
/** Messages of the live socket can arrive faster than requests make sense. */
const shortestPauseMs = 200;

/** Yields the run after each request, until it has ended or `signal` aborts. The last run yielded has ended. */
export async function* follow(api: Api, runId: string, signal: AbortSignal): AsyncGenerator<Run> {
  const news = listen(api, signal);
  try {
    yield* poll(api, runId, signal, news);
  } finally {
    news.stop();
  }
}

async function* poll(api: Api, runId: string, signal: AbortSignal, news: News): AsyncGenerator<Run> {
  let answeredAt: number | undefined;
  while (!signal.aborted) {
    const request = answered(api.GET('/runs/{id}', { params: { path: { id: runId } }, signal }));
    const run = await request.catch((error) => {
      if (signal.aborted) return undefined;
      const isOutage = answeredAt !== undefined && performance.now() - answeredAt <= longestOutageMs;
      if (!isUnreachable(error) || !isOutage) throw error;
      return undefined;
    });
    if (run) {
      answeredAt = performance.now();
      yield run;
      if (endStatuses.includes(run.status)) return;
    }
    await pause(shortestPauseMs, undefined, { signal }).catch(() => {});
    await news.next((news.live() ? pollEveryMs.live : pollEveryMs.polling) - shortestPauseMs);
  }
}

function isUnreachable(error: unknown): boolean {
  return error instanceof Refusal && ['unreachable', 'unavailable'].includes(error.problem.code);
}

export type News = {
  live(): boolean;
  /** Resolves once a message arrived since the last call, at the latest after `milliseconds`. */
  next(milliseconds: number): Promise<void>;
  stop(): void;
};

/** Listens to the live socket. If it is missing or breaks, no message arrives and `next` waits for its timeout. */
export function listen(api: Api, signal: AbortSignal): News {
  let socket: WebSocket | undefined;
  let message = Promise.withResolvers<void>();
  const stop = new AbortController();
  const ended = AbortSignal.any([signal, stop.signal]);
  ended.addEventListener('abort', () => {
    message.resolve();
    socket?.close();
  });
  socketUrl(api).then((url) => {
    if (url === undefined || ended.aborted) return;
    socket = new WebSocket(url);
    socket.addEventListener('message', () => message.resolve());
    // No message comes after these, so the follower must poll from now on.
    socket.addEventListener('close', () => message.resolve());
    socket.addEventListener('error', () => message.resolve());
  });
  return {
    live: () => socket?.readyState === WebSocket.OPEN,
    async next(milliseconds) {
      const done = new AbortController();
      await Promise.race([
        message.promise,
        pause(milliseconds, undefined, { signal: AbortSignal.any([ended, done.signal]) }).catch(() => {}),
      ]);
      done.abort();
      message = Promise.withResolvers();
    },
    stop: () => stop.abort(),
  };
}

async function socketUrl(api: Api): Promise<string | undefined> {
  const { data } = await api.POST('/live/ticket').catch(() => ({ data: undefined }));
  return data?.url;
}
