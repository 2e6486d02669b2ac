/** The door of the live socket and what a network can do to those who came in. */
import { once } from 'node:events';
import { createServer, request, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, onTestFinished, test, vi } from 'vitest';
import { Problem } from '../../../domain/errors.ts';
import { startServer } from '../../../infra/embedded/server.ts';
import { readSettings } from '../../../infra/embedded/settings.ts';
import { makeSockets, type Patience, type Sockets } from '../../../infra/embedded/sockets.ts';
import { silent, testFolder } from '../../support/embedded.ts';

const usual: Patience = { pingMs: 60_000, slowMs: 60_000 };
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

/** A client that shakes hands, and from then on does nothing of itself. */
async function mute({ port, ids }: Given, read: boolean): Promise<{ id: string; socket: Socket }> {
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

/** What the server answers to a request to upgrade. */
function answered(
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

/** Time as the test has it: nobody is too slow because this machine is. */
function holdTime(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval', 'performance'] });
  onTestFinished(() => void vi.useRealTimers());
}

/** Resolves once it holds. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await turn();
}

test('a reader that does not read is disconnected, and the rest go on', async () => {
  const world = await given();
  const { id } = await mute(world, false);
  const other = await mute(world, true);
  holdTime();
  const text = 'x'.repeat(128 * 1024);
  let outcome = 'sent';
  let sent = 0;
  for (; outcome === 'sent'; sent++) {
    const sending = world.sockets.send(id, text);
    // Whatever the system's buffers take is taken by then; if not, it is only given up on sooner.
    await Promise.race([sending, new Promise((resolve) => realTimeout(resolve, 200))]);
    vi.advanceTimersByTime(usual.slowMs);
    outcome = await sending;
  }
  // No more than the system's own buffers hold.
  expect(sent).toBeGreaterThan(1);
  expect(sent).toBeLessThan(200);
  expect(await world.sockets.send(id, 'x')).toBe('gone');
  expect(await world.sockets.send(other.id, text)).toBe('sent');
  await until(() => world.closed.length > 0);
  expect(world.closed).toEqual([id]);
});

test('who does not answer a ping is gone by the next', async () => {
  holdTime();
  const world = await given();
  const came = once(world.server, 'upgrade');
  const alive = new WebSocket(`ws://127.0.0.1:${world.port}/live`);
  await new Promise((resolve) => alive.addEventListener('open', resolve));
  const [, stream] = await came;
  const { id } = await mute(world, true);
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

test('a socket is ended when it is old', async () => {
  holdTime();
  const world = await given({ longestMs: 2 * usual.pingMs });
  const came = once(world.server, 'upgrade');
  const socket = new WebSocket(`ws://127.0.0.1:${world.port}/live`);
  const closed = new Promise<CloseEvent>((resolve) => socket.addEventListener('close', resolve));
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  const [, stream] = await came;
  const pong = once(stream, 'data');
  vi.advanceTimersByTime(usual.pingMs);
  await pong;
  expect(world.closed).toEqual([]);
  vi.advanceTimersByTime(usual.pingMs);
  expect((await closed).code).toBe(1000);
  await until(() => world.closed.length > 0);
  expect(world.closed).toEqual(world.ids);
});

test('what clients say is ignored, and too much of it ends their socket', async () => {
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

/** Somebody whom the door keeps waiting. */
async function waiting(door: Promise<void>): Promise<Given & { socket: Socket }> {
  const world = await given({ admit: () => door });
  const socket = connect(world.port, '127.0.0.1');
  socket.on('error', () => undefined);
  const lines = Object.entries({ host: 'x', ...upgrade }).map(([name, value]) => `${name}: ${value}`);
  const came = new Promise((resolve) => world.server.once('upgrade', resolve));
  socket.write(['GET /live HTTP/1.1', ...lines, '', ''].join('\r\n'));
  await came;
  return { ...world, socket };
}

test('who leaves while still at the door is forgotten once let in', async () => {
  const door = Promise.withResolvers<void>();
  const world = await waiting(door.promise);
  world.socket.destroy();
  door.resolve();
  await until(() => world.ids.length > 0 && world.closed.includes(world.ids[0] ?? ''));
  expect(await world.sockets.send(world.ids[0] ?? '', 'x')).toBe('gone');
});

test('who is at the door when all ends is sent away, and forgotten', async () => {
  const door = Promise.withResolvers<void>();
  const world = await waiting(door.promise);
  const away = new Promise((resolve) => world.socket.once('close', resolve));
  await world.sockets.stop();
  await away;
  door.resolve();
  // Once more than at the door, because letting it in may have written it down.
  await until(() => world.closed.length > 1);
  expect(world.closed).toEqual([world.ids[0], world.ids[0]]);
});

test('a refusal is a problem document; what is no WebSocket, or elsewhere, is none of its business', async () => {
  const refusing = await given({
    admit: async () => {
      throw new Problem('invalid-token', 'No.');
    },
  });
  const refused = await answered(refusing.port, '/live?x', upgrade);
  expect(refused).toMatchObject({ status: 401 });
  expect(JSON.parse(refused.body)).toMatchObject({ code: 'invalid-token', detail: 'No.' });
  const { port } = await given();
  expect(await answered(port, '/live', upgrade)).toMatchObject({ status: 101 });
  expect(await answered(port, '/elsewhere', upgrade)).toEqual({ status: 200, body: 'plain' });
  expect(await answered(port, '/live', { connection: 'Upgrade', upgrade: 'h2c' })).toEqual({
    status: 200,
    body: 'plain',
  });
});

test('stop ends all sockets and lets no more in', async () => {
  const world = await given();
  const socket = new WebSocket(`ws://127.0.0.1:${world.port}/live`);
  await new Promise((resolve) => socket.addEventListener('open', resolve));
  const { id } = await mute(world, true);
  const gone = new Promise<{ code: number }>((resolve) => socket.addEventListener('close', resolve));
  await world.sockets.stop();
  expect((await gone).code).toBe(1001);
  expect(world.closed).toContain(id);
  await expect(answered(world.port, '/live', upgrade)).rejects.toThrow();
});

test('the box checks the name it is called by, the origin and the ticket', async () => {
  const settings = readSettings([], { PORT: '0', LISTBACKUP_DATA: await testFolder() });
  const deployment = await startServer(settings, silent);
  onTestFinished(() => deployment.close());
  const { port } = new URL(deployment.url);
  const status = async (headers: { [name: string]: string }) =>
    (await answered(Number(port), '/live?ticket=x', { ...upgrade, ...headers })).status;
  expect(await status({ host: 'evil.example' })).toBe(421);
  expect(await status({ origin: 'https://evil.example' })).toBe(403);
  expect(await status({})).toBe(401);
  expect(await status({ origin: deployment.url })).toBe(401);
});
