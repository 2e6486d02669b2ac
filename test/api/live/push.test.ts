import { setImmediate as turn } from 'node:timers/promises';
import { expect, test, vi } from 'vitest';
import { addConnection, connectionsOf, findConnection, updateConnection } from '../../../api/live/connections.ts';
import { admit } from '../../../api/live/handshake.ts';
import type { LiveMessage } from '../../../api/live/messages.ts';
import { pushLive } from '../../../api/live/push.ts';
import { issueTicket } from '../../../api/live/tickets.ts';
import { openSession } from '../../../api/sessions.ts';
import { makeChaos } from '../../../infra/embedded/chaos.ts';
import { ada } from '../../support/api.ts';
import {
  account,
  expectAll,
  holdTurn,
  lasting,
  lastingAfter,
  liveWorld,
  messagesAfter,
  runSteps,
  turnOf,
  type World,
  wholeRun,
} from './given.ts';

const slowMachine = { timeout: 60_000 };
const seqs = (messages: LiveMessage[]) => messages.map(({ seq }) => seq);

test('sends only events after the socket opened', async () => {
  const { platform, live, connect } = await liveWorld();
  await wholeRun(platform, 'run_1', 1);
  const before = (await messagesAfter(platform)).at(-1)?.seq;
  const socket = await connect('one');
  expect(await pushLive(live, account)).toBe('done');
  expect(socket.messages).toEqual([]);
  await wholeRun(platform, 'run_2', 2);
  await pushLive(live, account);
  await expectAll(platform, socket.messages, before);
});

test('resumes after a drop at any message, without gaps and repeats', async () => {
  const { platform, live, connect } = await liveWorld();
  await wholeRun(platform, 'run_1', 3);
  const all = await messagesAfter(platform);
  for (let drop = 0; drop <= all.length; drop++) {
    const first = await connect(`first ${drop}`, 0);
    first.take = async () => (first.messages.length < drop ? 'sent' : 'gone');
    await pushLive(live, account);
    expect(first.messages).toEqual(all.slice(0, drop));
    const second = await connect(`second ${drop}`, first.messages.at(-1)?.seq ?? 0);
    await pushLive(live, account);
    await expectAll(platform, [...first.messages, ...second.messages]);
    second.closed = true;
  }
});

test.for([1, 2, 3, 4, 5, 6, 7, 8])(
  'delivers all messages in order to sockets that drop, with concurrent pushes (seed %i)',
  async (seed) => {
    const { platform, live: patient, sockets, connect } = await liveWorld();
    const chaos = makeChaos(seed);
    // Without patience, members leave the set in the middle of a page.
    const live = chaos.chance(0.5) ? patient : { ...patient, patienceMs: 0 };
    const received: LiveMessage[] = [];
    let number = 0;
    let current = await connect('0', 0);
    const pushing: Promise<unknown>[] = [];
    const randomTurns = async () => {
      while (chaos.chance(0.6)) await turn();
    };
    const makeFaulty = () => {
      const socket = current;
      socket.take = async () => {
        await randomTurns();
        return chaos.chance(0.15) ? 'gone' : 'sent';
      };
    };
    makeFaulty();
    const reconnect = async () => {
      const socket = sockets.get(String(number));
      received.push(...(socket?.messages ?? []));
      if (socket) socket.closed = true;
      current = await connect(String(++number), received.at(-1)?.seq ?? 0);
      makeFaulty();
    };
    const runs = [runSteps(platform, 'run_1', 4), runSteps(platform, 'run_2', 4)];
    for (const step of ['request', 'start', 'plan', 0, 1, 2, 3, 'finish'] as const) {
      for (const run of runs) {
        await (typeof step === 'number' ? run.store(step) : run[step]());
        for (let n = chaos.chance(0.5) ? 3 : 1; n > 0; n--) pushing.push(pushLive(live, account));
        await randomTurns();
        if (!(await findConnection(platform, account, String(number)))) await reconnect();
      }
    }
    await Promise.all(pushing);
    const all = await lastingAfter(platform);
    await vi.waitFor(async () => {
      await reconnect();
      current.take = async () => 'sent';
      await pushLive(live, account);
      received.push(...current.messages);
      current.messages = [];
      expect(lasting(received).length).toBeGreaterThanOrEqual(all.length);
    }, slowMachine);
    await expectAll(platform, received);
  },
);

test('sends each message once and in order with concurrent pushes', async () => {
  const { platform, live, connect } = await liveWorld();
  const [one, two] = [await connect('one', 0), await connect('two', 0)];
  for (const socket of [one, two]) socket.take = () => turn().then(() => 'sent' as const);
  await wholeRun(platform, 'run_1', 3);
  await Promise.all(Array.from({ length: 10 }, () => pushLive(live, account)));
  for (const socket of [one, two]) await expectAll(platform, socket.messages);
});

test('sends events that are appended during a push', async () => {
  const { platform, live, connect } = await liveWorld();
  const socket = await connect('one', 0);
  await runSteps(platform, 'run_1', 1).request();
  const [held, taken] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  socket.take = async () => {
    taken.resolve();
    await held.promise;
    return 'sent';
  };
  const pushing = pushLive(live, account);
  await taken.promise;
  await runSteps(platform, 'run_1', 1).start();
  expect(await pushLive(live, account)).toBe('done');
  expect(socket.messages).toEqual([]);
  held.resolve();
  await pushing;
  await expectAll(platform, socket.messages);
});

test('closes a socket whose process died during a push, so that no message repeats', async () => {
  const { platform, live, connect } = await liveWorld();
  const socket = await connect('one', 0);
  await runSteps(platform, 'run_1', 1).request();
  const [connection] = await connectionsOf(platform, account);
  if (connection)
    await updateConnection(
      platform,
      connection,
      { turn: 'of a dead process', turnEnds: platform.now() + 60_000 },
      { turn: '' },
    );
  await pushLive(live, account);
  expect(socket).toMatchObject({ messages: [], closed: false });
  platform.clock.now += 60_001;
  await pushLive(live, account);
  expect(socket).toMatchObject({ messages: [], closed: true });
  expect(await connectionsOf(platform, account)).toEqual([]);
});

test('closes the sockets of the set if its process died, and serves others meanwhile', async () => {
  const { platform, live, connect } = await liveWorld();
  const [one, two] = [await connect('one'), await connect('two')];
  await pushLive(live, account);
  const steps = runSteps(platform, 'run_1', 1);
  const end = await holdTurn(platform);
  await steps.request();
  const later = await connect('later', 0);
  expect(await pushLive(live, account)).toBe('done');
  await expectAll(platform, later.messages);
  expect([one, two]).toMatchObject([{ messages: [] }, { messages: [] }]);
  await steps.start();
  platform.clock.now = end + 1;
  await pushLive(live, account);
  for (const socket of [one, two]) expect(socket).toMatchObject({ messages: [], closed: true });
  await expectAll(platform, later.messages);
  expect((await connectionsOf(platform, account)).map(({ id }) => id)).toEqual(['later']);
});

test('closes a socket whose process died while another process sends to the set', async () => {
  const { platform, live, connect } = await liveWorld();
  const socket = await connect('one', 0);
  const [connection] = await connectionsOf(platform, account);
  const turn = { turn: 'of a dead process', turnEnds: platform.now() };
  if (connection) await updateConnection(platform, connection, turn, { turn: '' });
  await holdTurn(platform);
  await pushLive(live, account);
  expect(socket.closed).toBe(true);
});

test.for(['in the set', 'alone'])('stops a push %s that lost its turn', async (where) => {
  const { platform, live, connect } = await liveWorld();
  const inSet = where === 'in the set';
  const before = inSet ? await connect('one') : undefined;
  await wholeRun(platform, 'run_1', 1);
  const slow = before ?? (await connect('one', 0));
  const [held, taken] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  slow.take = async () => {
    taken.resolve();
    await held.promise;
    return 'sent';
  };
  const pushing = pushLive(live, account);
  await taken.promise;
  expect(await findConnection(platform, account, 'one')).toMatchObject({ joined: inSet });
  platform.clock.now += 60_001;
  await pushLive(live, account);
  expect(slow.closed).toBe(true);
  held.resolve();
  await pushing;
  expect(slow.messages.length).toBeLessThanOrEqual(1);
});

test('lets a slow member continue alone, so that the set does not wait, and takes it back', async () => {
  const { platform, live, connect } = await liveWorld();
  const [slow, quick] = [await connect('slow'), await connect('quick')];
  const held = Promise.withResolvers<void>();
  slow.take = () => held.promise.then(() => 'sent' as const);
  await runSteps(platform, 'run_1', 1).request();
  const pushing = pushLive({ ...live, patienceMs: 1 }, account);
  await vi.waitFor(async () => expect(await turnOf(platform)).toBe(''), slowMachine);
  await wholeRun(platform, 'run_2', 60);
  await pushLive(live, account);
  await expectAll(platform, quick.messages);
  expect(slow.messages).toEqual([]);
  expect(await findConnection(platform, account, 'slow')).toMatchObject({ joined: false });
  held.resolve();
  expect(await pushing).toBe('done');
  await expectAll(platform, slow.messages);
  expect(await findConnection(platform, account, 'slow')).toMatchObject({ joined: true, turn: '' });
});

test('sends new events to the set while another socket catches up, which then joins', async () => {
  const { platform, live, connect } = await liveWorld();
  await wholeRun(platform, 'run_1', 60);
  const head = (await lastingAfter(platform)).at(-1)?.seq;
  const [current, behind] = [await connect('current'), await connect('behind', 0)];
  const held = Promise.withResolvers<void>();
  behind.take = () => held.promise.then(() => 'sent' as const);
  const catchingUp = pushLive(live, account);
  await vi.waitFor(async () => expect(await turnOf(platform)).toBe(''), slowMachine);
  await wholeRun(platform, 'run_2', 1);
  await pushLive(live, account);
  await expectAll(platform, current.messages, head);
  expect(behind.messages).toEqual([]);
  held.resolve();
  await catchingUp;
  await expectAll(platform, behind.messages);
  expect(await connectionsOf(platform, account)).toMatchObject([{ joined: true }, { joined: true }]);
});

/** Calls of the ports by one push. */
async function callsOf({ platform }: World, push: () => Promise<unknown>) {
  const { events, records, rows } = platform;
  const spies = {
    ledger: vi.spyOn(events, 'ledger'),
    commits: vi.spyOn(events, 'getMany'),
    rows: vi.spyOn(rows, 'get'),
    get: vi.spyOn(records, 'get'),
    getMany: vi.spyOn(records, 'getMany'),
    query: vi.spyOn(records, 'query'),
    write: vi.spyOn(records, 'write'),
  };
  await push();
  const calls = Object.fromEntries(Object.entries(spies).map(([name, spy]) => [name, spy.mock.calls.length]));
  for (const spy of Object.values(spies)) spy.mockRestore();
  return calls;
}

test.for([1, 50])('reads each entry and writes the position once for all of %i sockets', async (count) => {
  const world = await liveWorld();
  const { platform, live, connect } = world;
  const sockets = [];
  for (let i = 0; i < count; i++) sockets.push(await connect(String(i)));
  await pushLive(live, account);
  await wholeRun(platform, 'run_1', 3);
  expect(await callsOf(world, () => pushLive(live, account))).toEqual({
    ledger: 1,
    commits: 1,
    rows: 1,
    get: 1,
    getMany: 1,
    // The connections, and the generations of the read models.
    query: 2,
    write: 2,
  });
  for (const socket of sockets) await expectAll(platform, socket.messages);
});

test('reads no ledger entry if nobody listens', async () => {
  const world = await liveWorld();
  await wholeRun(world.platform, 'run_1', 3);
  expect(await callsOf(world, () => pushLive(world.live, account))).toMatchObject({ ledger: 0, commits: 0, rows: 0 });
});

test('closes the members if the ledger cannot be read, so that their clients resume', async () => {
  const { platform, live, connect } = await liveWorld();
  const socket = await connect('one');
  await pushLive(live, account);
  await wholeRun(platform, 'run_1', 1);
  vi.spyOn(platform.events, 'ledger').mockRejectedValueOnce(new Error('no table'));
  await expect(pushLive(live, account)).rejects.toThrow('no table');
  expect(socket).toMatchObject({ messages: [], closed: true });
  const again = await connect('two', 0);
  await pushLive(live, account);
  await expectAll(platform, again.messages);
});

test('closes a socket after a failure to send, and reports the failure', async () => {
  const { platform, live, connect } = await liveWorld();
  const [bad, good] = [await connect('bad', 0), await connect('good', 0)];
  await wholeRun(platform, 'run_1', 1);
  bad.take = async () => {
    throw new Error('connection reset');
  };
  await expect(pushLive(live, account)).rejects.toThrow('connection reset');
  expect(bad.closed).toBe(true);
  expect((await connectionsOf(platform, account)).map(({ id }) => id)).toEqual(['good']);
  await expectAll(platform, good.messages);
});

test('closes a socket whose session ended, before it sends more', async () => {
  const { platform, live, connect } = await liveWorld();
  const socket = await connect('one', 0);
  await platform.records.write([{ op: 'delete', pk: `session#${ada.accountId}#${ada.userId}`, sk: 'ses_ada' }]);
  await wholeRun(platform, 'run_1', 1);
  await pushLive(live, account);
  expect(socket).toMatchObject({ messages: [], closed: true });
  expect(await connectionsOf(platform, account)).toEqual([]);
});

test('stops at its deadline between two commits, and continues there', async () => {
  const { platform, live, connect } = await liveWorld();
  const socket = await connect('one', 0);
  const steps = runSteps(platform, 'run_1', 120);
  await steps.request();
  for (let n = 0; n < 120; n++) await steps.store(n);
  expect(await pushLive({ ...live, deadline: platform.now() }, account)).toBe('more');
  const all = await messagesAfter(platform);
  expect(socket.messages.length).toBeGreaterThan(0);
  expect(socket.messages.length).toBeLessThan(all.length);
  expect(await pushLive(live, account)).toBe('done');
  await expectAll(platform, socket.messages);
});

test('waits for a socket that is opening, and removes one that has closed', async () => {
  const { platform, live, connect } = await liveWorld();
  const socket = await connect('one', 0);
  await runSteps(platform, 'run_1', 1).request();
  let tries = 0;
  socket.take = async () => (++tries > 3 ? 'sent' : 'gone');
  await pushLive({ ...live, openingMs: 10_000 }, account);
  await expectAll(platform, socket.messages);
  tries = 0;
  socket.take = async () => (++tries > 3 ? 'sent' : 'gone');
  platform.clock.now += 10_000;
  await runSteps(platform, 'run_1', 1).start();
  await pushLive({ ...live, openingMs: 10_000 }, account);
  expect(tries).toBe(1);
  expect(await connectionsOf(platform, account)).toEqual([]);
});

test('waits until the read models show an event before it sends it', async () => {
  const { platform, live, connect } = await liveWorld();
  const socket = await connect('one');
  await wholeRun(platform, 'run_1', 1);
  const cursor = vi.spyOn(platform.rows, 'cursor');
  let waits = 0;
  const followers = [{ name: 'runs', streams: ['run', 'backup-chain', 'batch'] }];
  cursor.mockImplementation(async () => (waits > 2 ? 99 : 0));
  const sleep = async () => {
    expect(socket.messages).toEqual([]);
    waits++;
  };
  await pushLive({ ...live, followers, sleep }, account);
  expect(waits).toBe(3);
  expect(socket.messages).not.toEqual([]);
});

test('sends events although a read model is parked', async () => {
  const { platform, live, connect } = await liveWorld();
  const socket = await connect('one');
  await wholeRun(platform, 'run_1', 1);
  const sleep = async (milliseconds: number) => {
    platform.clock.now += milliseconds;
  };
  await pushLive({ ...live, followers: [{ name: 'parked', streams: ['run'] }], sleep }, account);
  expect(socket.messages).not.toEqual([]);
});

test('rejects a `since` that is not the seq of a message or 0', async () => {
  const { platform, connect } = await liveWorld();
  await wholeRun(platform, 'run_1', 1);
  const head = Math.floor(seqs(await messagesAfter(platform)).at(-1) ?? 0);
  await connect('at the end', head + 0.5);
  for (const [i, since] of ['-1', '1e3', 'NaN', 'x', '', ' 1', '1.', String(head + 1), '9'.repeat(16)].entries()) {
    const { ticket } = await issueTicket(platform, { account, user: ada.userId, session: 'ses_ada' });
    const handshake = { ticket, since, origin: undefined, host: undefined };
    await expect(admit(platform, handshake, `refused ${i}`), since).rejects.toMatchObject({
      code: 'invalid-input',
      errors: [{ path: 'since' }],
    });
  }
});

test('admits the same origin and those in cors-origin, and rejects other origins', async () => {
  const { platform } = await liveWorld();
  const secrets = { get: async () => 'https://console.example, https://other.example' };
  const open = async (origin: string | undefined, host = 'box.local:4000') => {
    const { ticket } = await issueTicket(platform, { account, user: ada.userId, session: 'ses_ada' });
    return admit({ ...platform, secrets }, { ticket, since: undefined, origin, host }, `con ${origin}`);
  };
  for (const origin of [undefined, 'http://box.local:4000', 'https://console.example']) await open(origin);
  for (const origin of ['https://evil.example', 'null', 'http://box.local', 'https://console.example.evil.example']) {
    await expect(open(origin), origin).rejects.toMatchObject({ code: 'forbidden' });
  }
});

test('limits each account to 100 sockets', async () => {
  const { platform, connect } = await liveWorld();
  for (let i = 0; i < 100; i++) await connect(String(i));
  await expect(connect('one more')).rejects.toMatchObject({
    code: 'rate-limited',
    extra: { retryAfter: expect.any(Number) },
  });
  await openSession(platform, { userId: 'usr_bob', accountId: 'acc_bob', role: 'owner', sessionId: 'ses_bob' });
  const { ticket } = await issueTicket(platform, { account: 'acc_bob', user: 'usr_bob', session: 'ses_bob' });
  await admit(platform, { ticket, since: undefined, origin: undefined, host: undefined }, 'bob');
});

test('sends to all sockets, also if concurrent handshakes exceeded the limit', async () => {
  const { platform, live, sockets, connect } = await liveWorld();
  const first = await connect('first');
  const others = Array.from({ length: 110 }, (_, n) => `other ${n}`);
  const holder = { account, user: ada.userId, session: 'ses_ada' };
  await Promise.all(others.map((id) => addConnection(platform, holder, id, { done: 0, since: 0, head: 0 })));
  for (const id of others) sockets.set(id, { messages: [], closed: false, take: async () => 'sent' });
  await runSteps(platform, 'run_1', 1).request();
  await pushLive(live, account);
  expect(new Set(others.map((id) => sockets.get(id)?.messages.length))).toEqual(new Set([first.messages.length]));
});

test('sends the progress of a run between two entries, and resumes after it', async () => {
  const { platform, live, connect } = await liveWorld();
  const steps = runSteps(platform, 'run_1', 2);
  await steps.request();
  await pushLive(live, account, 'run_1');
  const socket = await connect('one');
  await pushLive(live, account, 'run_1');
  await pushLive(live, account, 'run_1');
  const [first, second, ...others] = socket.messages;
  expect([first, second]).toMatchObject([{ type: 'run.progress' }, { type: 'run.progress', data: { id: 'run_1' } }]);
  expect(others).toEqual([]);
  const lastOfEntry = (await messagesAfter(platform)).at(-1)?.seq ?? 0;
  const seqs = [lastOfEntry, first?.seq, second?.seq, 2];
  expect(seqs.toSorted()).toEqual(seqs);
  expect(new Set(seqs).size).toBe(4);
  await steps.finish();
  const resumed = await connect('two', second?.seq ?? 0);
  await pushLive(live, account, 'run_1');
  expect(resumed.messages.map(({ seq, type }) => [seq, type])).toEqual([
    [2, 'activity'],
    [2.5, 'run.finished'],
  ]);
  expect(socket.messages.slice(2).map(({ type }) => type)).toEqual(['activity', 'run.finished']);
});
