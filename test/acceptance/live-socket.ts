/** The live socket as a program that knows nothing of this repository would use it. */
import { type Body, type Client, until } from './client.ts';

export type LiveMessage = { seq: number; type: string; at: string; data: Body };

export type LiveSocket = {
  /** All so far. */
  messages: LiveMessage[];
  /** The first message that is so, when it is there. */
  seen(what: string, is: (message: LiveMessage) => boolean): Promise<LiveMessage>;
  closed: Promise<void>;
  close(): Promise<void>;
};

/** An address for one socket. */
export async function liveUrl(api: Client): Promise<string> {
  return (await api.expect(201, 'POST', '/live/ticket')).url as string;
}

/** Opens a socket with a ticket of its own. `after`: drops by itself once it has got so many messages. */
export async function openLive(
  api: Client,
  { since, after }: { since?: number; after?: number } = {},
): Promise<LiveSocket> {
  return openAt(`${await liveUrl(api)}${since === undefined ? '' : `&since=${since}`}`, after);
}

/** Rejects when the server does not let it in. */
export async function openAt(url: string, after = Number.POSITIVE_INFINITY): Promise<LiveSocket> {
  const messages: LiveMessage[] = [];
  const socket = new WebSocket(url);
  const closed = new Promise<void>((resolve) => socket.addEventListener('close', () => resolve()));
  socket.addEventListener('message', ({ data }) => {
    if (messages.length < after) messages.push(JSON.parse(data));
    if (messages.length === after) socket.close();
  });
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error('the socket was refused')));
  });
  return {
    messages,
    closed,
    seen: (what, is) => until(what, async () => messages.find(is)),
    async close() {
      socket.close();
      await closed;
    },
  };
}
