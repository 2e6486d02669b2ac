/** Uses the live socket as an outside program does. */
import { type Body, type Client, until } from './client.ts';

export type LiveMessage = { seq: number; type: string; at: string; data: Body };

export type LiveSocket = {
  /** All messages so far. */
  messages: LiveMessage[];
  /** Waits for the first message for which `is` holds. */
  seen(what: string, is: (message: LiveMessage) => boolean): Promise<LiveMessage>;
  closed: Promise<void>;
  close(): Promise<void>;
};

/** The address of a socket, with a new ticket. */
export async function liveUrl(api: Client): Promise<string> {
  return (await api.expect(201, 'POST', '/live/ticket')).url as string;
}

/** Opens a socket with a new ticket. It closes itself after `after` messages. */
export async function openLive(
  api: Client,
  { since, after }: { since?: number; after?: number } = {},
): Promise<LiveSocket> {
  return openAt(`${await liveUrl(api)}${since === undefined ? '' : `&since=${since}`}`, after);
}

/** Rejects if the server refuses the socket. */
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
