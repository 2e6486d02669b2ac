/** The live socket: its handshake, and clients that are slow, silent or gone. */
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Problem } from '../../../domain/errors.ts';
import { startServer } from '../../../infra/embedded/server.ts';
import { readSettings } from '../../../infra/embedded/settings.ts';
import { makeSockets, type Sockets, type Timeouts } from '../../../infra/embedded/sockets.ts';
import { silent, testFolder } from '../../support/embedded.ts';

const usual: Timeouts = { pingMs: 60_000, slowMs: 60_000 };
const upgrade = {
  connection: 'Upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'AAAAAAAAAAAAAAAAAAAAAA==',
};

type Given = { sockets: Sockets; server: Server; port: number; ids: string[]; closed: string[] };

type Options = { longestMs?: number; admit?: () => Promise<void> };

async function given({ longestMs = 3_600_000, admit = async () => {} }: Options = {}): Promise<Given> {
  const sockets = makeSockets(silent, usual);
  const server = createServer((_request, response) => response.end('plain'));
  const [ids, closed]: string[][] = [[], []];
  sockets.listen(server, {
    path: '/live',
    longestMs,
    async admit(_request, id) {
      await admit();
      ids?.push(id);
    },
    opened: () => undefined,
    closed: (id) => void closed?.push(id),
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    await sockets.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { sockets, server, port: (server.address() as AddressInfo).port, ids: ids ?? [], closed: closed ?? [] };
}

/** Opens a client that does not answer after the handshake. With `read` it reads, but answers no ping. */
async function openMute({ port, ids }: Given, read: boolean): Promise<{ id: string; socket: Socket }> {
  const before = ids.length;
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  const lines = Object.entries({ host: `127.0.0.1:${port}`, ...upgrade }).map(([name, value]) => `${name}: ${value}`);
  socket.write(['GET /live HTTP/1.1', ...lines, '', ''].join('\r\n'));
  await new Promise((resolve) => socket.once('data', resolve));
  if (read) socket.resume();
  else socket.pause();
  onTestFinished(() => void socket.destroy());
  return { id: ids[before] ?? '', socket };
}

/** Returns the answer of the server to an upgrade request. */
function requestUpgrade(
  port: number,
  path: string,
  headers: { [name: string]: string },
): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ port, host: '127.0.0.1', path, headers });
    call.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve({ status: response.statusCode, body: '' });
    });
    call.on('response', (response) => {
      let body = '';
      response.on('data', (piece) => {
        body += piece;
      });
      response.on('end', () => resolve({ status: response.statusCode, body }));
    });
    call.on('error', reject).end();
  });
}

const realTimeout = setTimeout;

/** Makes timers advance only with the test, so that no client is too slow because the computer is slow. */
function useTestClock(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

/** Resolves once the condition holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

test('disconnects a client that does not read and keeps the others', async () => {
  const world = await given();
  const { id } = await openMute(world, false);
  const other = await openMute(world, true);
  useTestClock();
  const text = 'x'.repeat(128 * 1024);
  let outcome = 'sent';
  let sent = 0;
  for (; outcome === 'sent'; sent++) {
    const sending = world.sockets.send(id, text);
    // By then the buffers of the system have taken the message, if it fits. If they are slower, the loop ends sooner.
    await Promise.race([sending, new Promise((resolve) => realTimeout(resolve, 200))]);
    vi.advanceTimersByTime(usual.slowMs);
    outcome = await sending;
  }
  // The buffers of the system hold that much, and this process buffers no more.
  expect(sent).toBeGreaterThan(1);
  expect(sent).toBeLessThan(200);
  expect(await world.sockets.send(id, 'x')).toBe('gone');
  expect(await world.sockets.send(other.id, text)).toBe('sent');
  await until(() => world.closed.length > 0);
  expect(world.closed).toEqual([id]);
});

test('disconnects a client that does not answer a ping before the next', async () => {
  useTestClock();
  const world = await given();
  const upgraded = once(world.server, 'upgrade');
  const alive = new WebSocket(`ws://127.0.0.1:${world.port}/live`);
  await new Promise((resolve) => alive.addEventListener('open', resolve));
  const [, stream] = await upgraded;
  const { id } = await openMute(world, true);
  for (let pings = 0; pings < 3; pings++) {
    const pong = once(stream, 'data');
    vi.advanceTimersByTime(usual.pingMs);
    await pong;
    if (pings === 0) expect(world.closed).toEqual([]);
  }
  await until(() => world.closed.length > 0);
  expect(world.closed).toEqual([id]);
  expect(await world.sockets.send(world.ids[0] ?? '', 'x')).toBe('sent');
  expect(alive.readyState).toBe(WebSocket.OPEN);
});

test('closes a socket at its maximum age', async () => {
  useTestClock();
  const world = await given({ longestMs: 2 * usual.pingMs });
  const upgraded = once(world.server, 'upgrade');
  const socket = new WebSocket(`ws://127.0.0.1:${world.port}/live`);
  const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  const [, stream] = await upgraded;
  const pong = once(stream, 'data');
  vi.advanceTimersByTime(usual.pingMs);
  await pong;
  expect(world.closed).toEqual([]);
  vi.advanceTimersByTime(usual.pingMs);
  expect((await closed).code).toBe(1000);
  await until(() => world.closed.length > 0);
  expect(world.closed).toEqual(world.ids);
});

test('ignores messages of clients and disconnects a client that sends a large one', async () => {
  const world = await given();
  const open = async () => {
    const socket = new WebSocket(`ws://127.0.0.1:${world.port}/live`);
    await new Promise((resolve) => socket.addEventListener('open', resolve));
    return socket;
  };
  const [quiet, loud] = [await open(), await open()];
  quiet.send('hello');
  loud.send('x'.repeat(5000));
  await new Promise((resolve) => loud.addEventListener('close', resolve));
  expect(await world.sockets.send(world.ids[0] ?? '', 'x')).toBe('sent');
});

/** Opens a client that stays in its handshake until `admitted` resolves. */
async function handshaking(admitted: Promise<void>): Promise<Given & { socket: Socket }> {
  const world = await given({ admit: () => admitted });
  const socket = connect(world.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const lines = Object.entries({ host: 'x', ...upgrade }).map(([name, value]) => `${name}: ${value}`);
  const upgraded = new Promise((resolve) => world.server.once('upgrade', resolve));
  socket.write(['GET /live HTTP/1.1', ...lines, '', ''].join('\r\n'));
  await upgraded;
  return { ...world, socket };
}

test('forgets a client that leaves during its handshake', async () => {
  const admission = Promise.withResolvers<void>();
  const world = await handshaking(admission.promise);
  world.socket.destroy();
  admission.resolve();
  await until(() => world.ids.length > 0 && world.closed.includes(world.ids[0] ?? ''));
  expect(await world.sockets.send(world.ids[0] ?? '', 'x')).toBe('gone');
});

test('disconnects and forgets a client that is in its handshake when the server stops', async () => {
  const admission = Promise.withResolvers<void>();
  const world = await handshaking(admission.promise);
  const disconnected = new Promise((resolve) => world.socket.once('close', resolve));
  await world.sockets.stop();
  await disconnected;
  admission.resolve();
  // `closed` is called a second time, because `admit` may have registered the connection after the first.
  await until(() => world.closed.length > 1);
  expect(world.closed).toEqual([world.ids[0], world.ids[0]]);
});

test('refuses with a problem document, and leaves other paths and protocols to the server', async () => {
  const refusing = await given({
    admit: async () => {
      throw new Problem('invalid-token', 'No.');
    },
  });
  const refused = await requestUpgrade(refusing.port, '/live?x', upgrade);
  expect(refused).toMatchObject({ status: 401 });
  expect(JSON.parse(refused.body)).toMatchObject({ code: 'invalid-token', detail: 'No.' });
  const { port } = await given();
  expect(await requestUpgrade(port, '/live', upgrade)).toMatchObject({ status: 101 });
  expect(await requestUpgrade(port, '/elsewhere', upgrade)).toEqual({ status: 200, body: 'plain' });
  expect(await requestUpgrade(port, '/live', { connection: 'Upgrade', upgrade: 'h2c' })).toEqual({
    status: 200,
    body: 'plain',
  });
});

test('stop closes all sockets and admits no new ones', async () => {
  const world = await given();
  const socket = new WebSocket(`ws://127.0.0.1:${world.port}/live`);
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  const { id } = await openMute(world, true);
  const closed = new Promise<{ code: number }>((resolve) => socket.addEventListener('close', resolve));
  await world.sockets.stop();
  expect((await closed).code).toBe(1001);
  expect(world.closed).toContain(id);
  await expect(requestUpgrade(world.port, '/live', upgrade)).rejects.toThrow();
});

test('the server checks host, origin and ticket before the upgrade', async () => {
  const settings = readSettings([], { PORT: '0', LISTBACKUP_DATA: await testFolder() });
  const deployment = await startServer(settings, silent);
  onTestFinished(() => deployment.close());
  const { port } = new URL(deployment.url);
  const status = async (headers: { [name: string]: string }) =>
    (await requestUpgrade(Number(port), '/live?ticket=x', { ...upgrade, ...headers })).status;
  expect(await status({ host: 'evil.example' })).toBe(421);
  expect(await status({ origin: 'https://evil.example' })).toBe(403);
  expect(await status({})).toBe(401);
  expect(await status({ origin: deployment.url })).toBe(401);
});
