/** Connections for the contract of Push. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Sockets } from '../../infra/embedded/sockets.ts';
import type { PushConnection, PushHarness } from '../contract/push.ts';

/** Opens a connection as a client. `idOf` returns its id once it is open. */
export async function pushConnection(url: string, idOf: () => Promise<string>): Promise<PushConnection> {
  const socket = new WebSocket(url);
  const received: string[] = [];
  let isClosed = false;
  const closed = new Promise<void>((resolve) =>
    socket.addEventListener('close', () => {
      isClosed = true;
      resolve();
    }),
  );
  socket.addEventListener('message', ({ data }) => received.push(data));
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve());
    socket.addEventListener('error', () => reject(new Error('the socket was refused')));
  });
  return {
    id: await idOf(),
    received,
    isClosed: () => isClosed,
    async leave() {
      socket.close();
      await closed;
    },
  };
}

/** A gate that accepts every connection. */
export async function embeddedPush(sockets: Sockets): Promise<PushHarness & { close(): void }> {
  const server = createServer();
  const ids: string[] = [];
  sockets.listen(server, {
    path: '/live',
    longestMs: 60_000,
    admit: async (_request, id) => void ids.push(id),
    opened: () => undefined,
    closed: () => undefined,
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    push: sockets,
    // Tests connect sequentially, so the last accepted id belongs to this connection
    connect: () => pushConnection(`ws://127.0.0.1:${port}/live`, async () => ids.at(-1) ?? ''),
    close: () => server.close(),
  };
}
