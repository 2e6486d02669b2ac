/** What live sockets cost on AWS, counted on the emulator, and that they get all messages there. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectionsOf } from '../../../api/live/connections.ts';
import { admit } from '../../../api/live/handshake.ts';
import type { LiveMessage } from '../../../api/live/messages.ts';
import { pushLive } from '../../../api/live/push.ts';
import { issueTicket } from '../../../api/live/tickets.ts';
import { openSession } from '../../../api/sessions.ts';
import { type Counter, countUsage, type Usage, unitsOf } from '../../../bench/cost/usage.ts';
import type { StreamNotification } from '../../../domain/ports.ts';
import type { AwsClients } from '../../../infra/aws/clients.ts';
import { type AwsPlatform, openAws } from '../../../infra/aws/platform.ts';
import { relayNotifications } from '../../../infra/aws/relay-notifications.ts';
import { makeStage, ministackClients } from '../../emulator/aws-resources.ts';
import { ada } from '../../support/api.ts';
import { creatingKeys } from '../../support/embedded.ts';
import { account, expectAll, lastingAfter, runSteps } from './given.ts';

let clients: AwsClients;
let platform: AwsPlatform;
let counter: Counter;
let appended: StreamNotification[] = [];
const received = new Map<string, LiveMessage[]>();

beforeAll(async () => {
  clients = ministackClients();
  const environment = await makeStage(clients);
  counter = countUsage(clients, environment.TABLE_PREFIX);
  const opened = openAws(environment, clients);
  platform = {
    ...opened,
    keys: creatingKeys(opened.keys),
    events: {
      ...opened.events,
      async append(commit) {
        appended.push({ stream: commit.stream, version: commit.version });
        return opened.events.append(commit);
      },
    },
    push: {
      async send(id, text) {
        received.get(id)?.push(JSON.parse(text));
        return 'sent';
      },
      close: async () => {},
    },
  };
  await openSession(platform, { ...ada, sessionId: 'ses_ada' });
});
afterAll(() => platform.close());

async function connect(id: string, since?: number): Promise<void> {
  const { ticket } = await issueTicket(platform, { account, user: ada.userId, session: 'ses_ada' });
  received.set(id, []);
  await admit(platform, { ticket, since: since?.toString(), origin: undefined, host: 'x' }, id);
}

/** The usage of the relay for the commits since the last call. */
async function relay(): Promise<{ usage: Usage; commits: number }> {
  const due = appended;
  appended = [];
  return { commits: due.length, usage: (await counter.during(() => relayNotifications(platform, due))).usage };
}

const push = () =>
  pushLive({ platform, followers: [], sleep: async () => {}, openingMs: 0, patienceMs: 60_000 }, account);

test('costs one read unit per account and visit without sockets, and the same per event with 1 and 50', async () => {
  const steps = runSteps(platform, 'run_1', 100);
  await steps.request();
  const silent = await relay();
  // The generations of the read models are no part of it: the relay reads only the connections in this table.
  expect(silent.usage.get('RRU records')).toBe(1);
  expect(silent.usage.get('WRU records')).toBeUndefined();
  expect(silent.usage.get('EventBridge')).toBe(silent.commits);

  const costs: { [sockets: number]: { read: number; written: number } } = {};
  for (const count of [1, 50]) {
    const before = (await lastingAfter(platform)).at(-1)?.seq;
    while (received.size < count) await connect(`con_${received.size}`);
    for (const id of received.keys()) received.set(id, []);
    await push();
    await steps.start();
    const { usage, commits } = await relay();
    expect(usage.get('EventBridge')).toBe(commits + 1);
    const pushed = await counter.during(push);
    for (const messages of received.values()) {
      expect(messages.map(({ type }) => type)).toEqual(['activity', 'run.progress']);
      await expectAll(platform, messages, before);
    }
    costs[count] = { read: unitsOf(pushed.usage, 'RRU'), written: unitsOf(pushed.usage, 'WRU') };
  }
  expect(costs[1]).toEqual({ read: expect.any(Number), written: 2 });
  expect(costs[50]?.written).toBe(2);
  // The records of 50 connections have more than 4 KB.
  expect((costs[50]?.read ?? 0) - (costs[1]?.read ?? 0)).toBeLessThanOrEqual(5);

  await steps.finish();
  await relay();
  await connect('resumed', 1.5);
  await push();
  await expectAll(platform, received.get('resumed') ?? [], 1.5);
  expect((await connectionsOf(platform, account)).every(({ joined }) => joined)).toBe(true);
});
