/** WebSockets of this process: who comes in by the door of the HTTP server, and what is pushed to them. */
import { randomBytes } from 'node:crypto';
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { problemDocument, problemHeaders } from '../../api/problem.ts';
import { Problem } from '../../domain/errors.ts';
import type { Log, Push } from '../../domain/ports.ts';
import { checkPush } from '../limits.ts';

export type Door = {
  /** The only address with sockets; requests for others are left to the server. */
  path: string;
  /** Whether the connection of that id may be opened; throws Problem when not. */
  admit(request: IncomingMessage, id: string): Promise<void>;
  opened(id: string): void;
  closed(id: string): void;
  /** A socket is ended when it is that old. */
  longestMs: number;
};

export type Sockets = Push & {
  listen(server: Server, door: Door): void;
  /** Ends all sockets; resolves when they are gone. */
  stop(): Promise<void>;
};

/** Each is given; the tests make them short. */
export type Patience = {
  /** Between two pings: who has not answered one by the next is gone. */
  pingMs: number;
  /** So long a reader may take for one message. */
  slowMs: number;
};

const usual: Patience = { pingMs: 30_000, slowMs: 10_000 };
/** Nothing is expected of clients. */
const maxFromClient = 4096;

export function makeSockets(log: Log, { pingMs, slowMs }: Patience = usual): Sockets {
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: maxFromClient,
    perMessageDeflate: false,
  });
  /** Those at the door too: what is sent to them waits until they are in. */
  const connections = new Map<string, Promise<WebSocket | undefined>>();
  const atTheDoor = new Set<Duplex>();
  const open = new Set<{ socket: WebSocket; answered: boolean; until: number }>();
  let stopping = false;

  const pinging = setInterval(() => {
    for (const each of open) {
      if (!each.answered) each.socket.terminate();
      else if (performance.now() >= each.until) each.socket.close(1000, 'resume with a new ticket');
      each.answered = false;
      each.socket.ping();
    }
  }, pingMs).unref();

  async function enter(request: IncomingMessage, stream: Duplex, head: Buffer, door: Door): Promise<void> {
    const id = `con_${randomBytes(16).toString('hex')}`;
    const { promise, resolve } = Promise.withResolvers<WebSocket | undefined>();
    connections.set(id, promise);
    atTheDoor.add(stream);
    const left = () => {
      atTheDoor.delete(stream);
      resolve(undefined);
      connections.delete(id);
      door.closed(id);
    };
    stream.once('close', left);
    stream.on('error', () => stream.destroy());
    try {
      await door.admit(request, id);
    } catch (error) {
      if (!(error instanceof Problem)) log.error('a live socket could not be opened', {}, error);
      return refuse(stream, error instanceof Problem ? error : new Problem('internal', 'Try again.'));
    }
    if (stopping || stream.destroyed) {
      stream.destroy();
      // It may have left before there was anything to forget.
      return left();
    }
    atTheDoor.delete(stream);
    sockets.handleUpgrade(request, stream, head, (socket) => {
      const state = { socket, answered: true, until: performance.now() + door.longestMs };
      open.add(state);
      socket.on('pong', () => {
        state.answered = true;
      });
      socket.on('error', () => socket.terminate());
      socket.once('close', () => open.delete(state));
      resolve(socket);
      door.opened(id);
    });
  }

  return {
    async send(id, text) {
      checkPush(text);
      const socket = await connections.get(id);
      if (socket?.readyState !== socket?.OPEN || !socket) return 'gone';
      return new Promise((resolve) => {
        const drop = setTimeout(() => {
          socket.terminate();
          resolve('gone');
        }, slowMs);
        // Called once the text has left this process, or cannot.
        socket.send(text, (error) => {
          clearTimeout(drop);
          resolve(error ? 'gone' : 'sent');
        });
      });
    },

    async close(id) {
      (await connections.get(id))?.close(1000);
    },

    listen(server, door) {
      const isOurs = (request: IncomingMessage) =>
        request.headers.upgrade?.toLowerCase() === 'websocket' && request.url?.split('?')[0] === door.path;
      // Else Node would take every upgrade of whatever kind away from the server.
      Object.assign(server, { shouldUpgradeCallback: isOurs });
      server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
        enter(request, stream, head, door).catch((error) => {
          log.error('a live socket could not be opened', {}, error);
          stream.destroy();
        });
      });
    },

    async stop() {
      stopping = true;
      clearInterval(pinging);
      for (const stream of atTheDoor) stream.destroy();
      await Promise.all(
        [...open].map(({ socket }) => {
          const gone = new Promise((resolve) => socket.once('close', resolve));
          socket.close(1001);
          const drop = setTimeout(() => socket.terminate(), 1000);
          return gone.then(() => clearTimeout(drop));
        }),
      );
    },
  };
}

function refuse(stream: Duplex, problem: Problem): void {
  const body = JSON.stringify(problemDocument(problem));
  const headers = {
    ...problemHeaders(problem),
    connection: 'close',
    'cache-control': 'no-store',
    'content-length': Buffer.byteLength(body),
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  stream.end([`HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}`, ...lines, '', body].join('\r\n'));
}
