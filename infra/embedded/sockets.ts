/** The `Push` port: WebSockets that clients open on the HTTP server of this process. */
import { randomBytes } from 'node:crypto';
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { problemDocument, problemHeaders } from '../../api/problem.ts';
import { Problem } from '../../domain/errors.ts';
import type { Log, Push } from '../../domain/ports.ts';
import { checkPush } from '../limits.ts';

export type Endpoint = {
  /** The only path with sockets. The server handles all other requests. */
  path: string;
  /** Runs before the upgrade. Throws a Problem to refuse the connection. */
  admit(request: IncomingMessage, id: string): Promise<void>;
  opened(id: string): void;
  /** Called at least once for each connection, also if it ends before it is open. */
  closed(id: string): void;
  /** A socket is closed at this age. */
  longestMs: number;
};

export type Sockets = Push & {
  listen(server: Server, endpoint: Endpoint): void;
  /** Closes all sockets. Resolves when they are closed. */
  stop(): Promise<void>;
};

export type Timeouts = {
  /** Time between pings. A client that has not answered by the next ping is disconnected. */
  pingMs: number;
  /** A client that takes longer to read one message is disconnected. */
  slowMs: number;
};

const defaultTimeouts: Timeouts = { pingMs: 30_000, slowMs: 10_000 };
/** Bytes. Clients have nothing to send, and their messages are ignored. */
const maxFromClient = 4096;

export function makeSockets(log: Log, { pingMs, slowMs }: Timeouts = defaultTimeouts): Sockets {
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: maxFromClient,
    perMessageDeflate: false,
  });
  /** Includes connections in their handshake. A message for them waits until they are open. */
  const connections = new Map<string, Promise<WebSocket | undefined>>();
  const handshaking = new Set<Duplex>();
  const open = new Set<{ socket: WebSocket; answered: boolean; until: number }>();
  let stopping = false;

  const pinging = setInterval(() => {
    for (const connection of open) {
      if (!connection.answered) connection.socket.terminate();
      else if (performance.now() >= connection.until) connection.socket.close(1000, 'resume with a new ticket');
      connection.answered = false;
      connection.socket.ping();
    }
  }, pingMs).unref();

  async function handshake(request: IncomingMessage, stream: Duplex, head: Buffer, endpoint: Endpoint): Promise<void> {
    const id = `con_${randomBytes(16).toString('hex')}`;
    const { promise, resolve } = Promise.withResolvers<WebSocket | undefined>();
    connections.set(id, promise);
    handshaking.add(stream);
    const forget = () => {
      handshaking.delete(stream);
      resolve(undefined);
      connections.delete(id);
      endpoint.closed(id);
    };
    stream.once('close', forget);
    stream.on('error', () => stream.destroy());
    try {
      await endpoint.admit(request, id);
    } catch (error) {
      if (!(error instanceof Problem)) log.error('a live socket could not be opened', {}, error);
      const problem = error instanceof Problem ? error : new Problem('internal', 'The server failed. Try again.');
      return refuse(stream, problem);
    }
    if (stopping || stream.destroyed) {
      stream.destroy();
      // The client may have left before `admit` registered the connection, so the first `closed` came too early.
      return forget();
    }
    handshaking.delete(stream);
    sockets.handleUpgrade(request, stream, head, (socket) => {
      const state = { socket, answered: true, until: performance.now() + endpoint.longestMs };
      open.add(state);
      socket.on('pong', () => {
        state.answered = true;
      });
      socket.on('error', () => socket.terminate());
      socket.once('close', () => open.delete(state));
      resolve(socket);
      endpoint.opened(id);
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
        // Called once the text has left this process, or cannot be sent.
        socket.send(text, (error) => {
          clearTimeout(drop);
          resolve(error ? 'gone' : 'sent');
        });
      });
    },

    async close(id) {
      (await connections.get(id))?.close(1000);
    },

    listen(server, endpoint) {
      const isLiveSocket = (request: IncomingMessage) =>
        request.headers.upgrade?.toLowerCase() === 'websocket' && request.url?.split('?')[0] === endpoint.path;
      // Without it, an `upgrade` listener receives all upgrade requests, and the server does not answer the others.
      Object.assign(server, { shouldUpgradeCallback: isLiveSocket });
      server.on('upgrade', (request: IncomingMessage, stream: Duplex, head: Buffer) => {
        handshake(request, stream, head, endpoint).catch((error) => {
          log.error('a live socket could not be opened', {}, error);
          stream.destroy();
        });
      });
    },

    async stop() {
      stopping = true;
      clearInterval(pinging);
      for (const stream of handshaking) stream.destroy();
      await Promise.all(
        [...open].map(({ socket }) => {
          const closed = new Promise((resolve) => socket.once('close', resolve));
          socket.close(1001);
          const drop = setTimeout(() => socket.terminate(), 1000);
          return closed.then(() => clearTimeout(drop));
        }),
      );
    },
  };
}

/** Answers an upgrade request with a problem document. */
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
