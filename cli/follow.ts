/** A run as it goes: told by the live socket that there is news, or asking now and then, and always read from the API. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Api, answered, type Schemas } from './client.ts';
import { Refusal } from './refusal.ts';

export type Run = Schemas['Run'];

const ended: readonly string[] = ['succeeded', 'partial', 'failed', 'cancelled'];
/** Between two looks: with the socket only in case a message was lost, without it all there is. */
const lookEvery = { live: 5_000, polling: 700 };
/** How long the server may be away, as when it is started anew: the run goes on after that. */
const patience = 60_000;
/** News come faster than they can be read. */
const shortest = 200;

/** The run each time it was looked at, the last time ended. Ends early, with nothing more, when `signal` says so. */
export async function* follow(api: Api, runId: string, signal: AbortSignal): AsyncGenerator<Run> {
  const news = listen(api, signal);
  try {
    yield* looks(api, runId, signal, news);
  } finally {
    news.stop();
  }
}

async function* looks(api: Api, runId: string, signal: AbortSignal, news: News): AsyncGenerator<Run> {
  let heard: number | undefined;
  while (!signal.aborted) {
    const look = answered(api.GET('/runs/{id}', { params: { path: { id: runId } }, signal }));
    const run = await look.catch((error) => {
      if (signal.aborted) return undefined;
      if (!isAway(error) || heard === undefined || performance.now() - heard > patience) throw error;
      return undefined;
    });
    if (run) {
      heard = performance.now();
      yield run;
      if (ended.includes(run.status)) return;
    }
    await pause(shortest, undefined, { signal }).catch(() => {});
    await news.next(news.live() ? lookEvery.live - shortest : lookEvery.polling - shortest);
  }
}

function isAway(error: unknown): boolean {
  return error instanceof Refusal && ['unreachable', 'unavailable'].includes(error.problem.code);
}

export type News = {
  live(): boolean;
  /** Resolves when something was said since the last time, at the latest after `milliseconds`. */
  next(milliseconds: number): Promise<void>;
  stop(): void;
};

/** What the live socket says. A home without one, or a socket that breaks, is no trouble: then nothing is ever said. */
export function listen(api: Api, signal: AbortSignal): News {
  let socket: WebSocket | undefined;
  let said = Promise.withResolvers<void>();
  const stop = new AbortController();
  const over = AbortSignal.any([signal, stop.signal]);
  over.addEventListener('abort', () => {
    said.resolve();
    socket?.close();
  });
  ticket(api).then((url) => {
    if (url === undefined || over.aborted) return;
    socket = new WebSocket(url);
    socket.addEventListener('message', () => said.resolve());
    // from now on nobody tells us
    socket.addEventListener('close', () => said.resolve());
    socket.addEventListener('error', () => said.resolve());
  });
  return {
    live: () => socket?.readyState === WebSocket.OPEN,
    async next(milliseconds) {
      const enough = new AbortController();
      await Promise.race([
        said.promise,
        pause(milliseconds, undefined, { signal: AbortSignal.any([over, enough.signal]) }).catch(() => {}),
      ]);
      enough.abort();
      said = Promise.withResolvers();
    },
    stop: () => stop.abort(),
  };
}

async function ticket(api: Api): Promise<string | undefined> {
  const { data } = await api.POST('/live/ticket').catch(() => ({ data: undefined }));
  return data?.url;
}
