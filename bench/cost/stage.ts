/** A stage without functions. It runs their work here, one after another, so that each can be counted alone. */

import type { FastifyInstance } from 'fastify';
import { decode } from '../../activity/decode.ts';
import { buildApp } from '../../api/app.ts';
import { parseStream } from '../../domain/event.ts';
import type { BusEvent, JsonObject, StreamNotification } from '../../domain/ports.ts';
import type { AwsClients } from '../../infra/aws/clients.ts';
import { awsLimits } from '../../infra/aws/limits.ts';
import { type AwsPlatform, openAws } from '../../infra/aws/platform.ts';
import { awsList } from '../../infra/aws/prices.ts';
import { relayNotifications } from '../../infra/aws/relay-notifications.ts';
import type { Deployment } from '../../processors/deployment.ts';
import { routes } from '../../processors/index.ts';
import { handleMessage } from '../../processors/runner.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { projections } from '../../projections/index.ts';
import { type Counter, countUsage, plus, type Usage, unitsOf } from './usage.ts';

export type Stage = {
  platform: AwsPlatform;
  counter: Counter;
  /** Calls the API in this process. Throws unless the answer is a success. */
  call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, body?: JsonObject, token?: string): Promise<JsonObject>;
  /** Runs projections and relay on the new commits. */
  follow(): Promise<Followed>;
  /** Handles messages and their consequences until none is left. */
  work(): Promise<Worked>;
  close(): Promise<void>;
};

/** Write units of a commit with these events in a read model. */
export type Applied = { events: string; projection: string; units: number };
export type Followed = { commits: number; applied: Applied[]; projections: Usage; relay: Usage };
/** `cpuSeconds` is the CPU time of the processors in this process. */
export type Worked = Followed & { messages: number; processors: Usage; cpuSeconds: number };

/** `environment` names existing resources, as `openAws` reads it. */
export async function openStage(
  clients: AwsClients,
  environment: { [name: string]: string } & { TABLE_PREFIX: string },
): Promise<Stage> {
  const counter = countUsage(clients, environment.TABLE_PREFIX);
  const opened = openAws(environment, clients);
  let notifications: StreamNotification[] = [];
  let messages: JsonObject[] = [];
  let calls = 0;
  const platform: AwsPlatform = {
    ...opened,
    events: {
      ...opened.events,
      async append(commit, previousAt) {
        const outcome = await opened.events.append(commit, previousAt);
        if (outcome === 'appended') notifications.push({ stream: commit.stream, version: commit.version });
        return outcome;
      },
    },
    queue: {
      ...opened.queue,
      async send(queue, all) {
        await opened.queue.send(queue, all);
        messages.push(...all.map(({ body }) => body));
      },
    },
    relay: {
      ...opened.relay,
      publish: (account, toEvents, fresh) =>
        opened.relay.publish(
          account,
          async (commit) => {
            const events = await toEvents(commit);
            messages.push(...events.flatMap(routed));
            return events;
          },
          fresh,
        ),
    },
  };
  /** Sends each event to its queue, as the bus does. */
  function routed(event: BusEvent): JsonObject[] {
    const matching = routes.filter(({ types }) => types.includes(event.type));
    counter.add('SQS', matching.length);
    return matching.map(() => event satisfies JsonObject);
  }

  const allowed = { allowHosts: [], folders: { roots: 'any' as const, never: [] } };
  const deployment: Deployment = { platform, connectors: () => allowed, prices: awsList, limits: awsLimits };
  const app: FastifyInstance = await buildApp({
    platform,
    deployment: 'aws',
    connectorContext: () => allowed,
    followers: projections,
    rateScale: 1,
    live: 'wss://live.example',
    origin: 'https://api.example',
  });

  /** Hides later commits. */
  const loadUpTo =
    (last: number): AwsPlatform['events']['load'] =>
    async (...query) =>
      (await opened.events.load(...query)).filter(({ version }) => version <= last);

  /** Runs each read model alone, to count its writes separately. */
  async function project(due: StreamNotification[]): Promise<Pick<Followed, 'applied' | 'projections'>> {
    const applied: Applied[] = [];
    let used = none;
    for (const notification of due) {
      const [commit] = await opened.events.getMany([notification]);
      const events = commit ? (await decode(opened, commit)).map(({ type }) => type).join(', ') : '';
      const upToThat = { ...platform, events: { ...platform.events, load: loadUpTo(notification.version) } };
      for (const projection of projections.filter(({ streams }) =>
        streams.includes(parseStream(notification.stream).type),
      )) {
        const { usage } = await counter.during(() => handleNotifications(upToThat, [projection], [notification]));
        applied.push({ events, projection: projection.name, units: unitsOf(usage, 'WRU') });
        used = plus(used, usage);
      }
    }
    // Together they would read the generations once
    return {
      applied,
      projections: applied.length > 1 ? plus(used, new Map([['RRU records', 1 - applied.length]])) : used,
    };
  }

  async function follow(): Promise<Followed> {
    const due = notifications;
    notifications = [];
    const projected = await project(due);
    const { usage: relay } = await counter.during(() => relayNotifications(platform, due));
    return { commits: due.length, ...projected, relay };
  }

  return {
    platform,
    counter,
    follow,

    async call(method, url, body, token) {
      const headers = {
        ...(token && { authorization: `Bearer ${token}` }),
        ...(method === 'POST' && { 'idempotency-key': `key-${++calls}` }),
      };
      const answer = await app.inject({ method, url, headers, ...(body && { payload: body }) });
      if (answer.statusCode >= 300) throw new Error(`${method} ${url} answered ${answer.statusCode}: ${answer.body}`);
      return answer.body === '' ? {} : answer.json<JsonObject>();
    },

    async work() {
      const sum: Worked = {
        commits: 0,
        messages: 0,
        applied: [],
        processors: none,
        projections: none,
        relay: none,
        cpuSeconds: 0,
      };
      while (notifications.length + messages.length > 0) {
        const followed = await follow();
        const due = messages;
        messages = [];
        const before = process.cpuUsage();
        const worked = await counter.during(async () => {
          // Each message is received and deleted alone
          counter.add('SQS', 2 * due.length);
          for (const body of due) await handleMessage(deployment, body, { deadline: Number.POSITIVE_INFINITY });
        });
        const { user, system } = process.cpuUsage(before);
        sum.cpuSeconds += (user + system) / 1e6;
        sum.commits += followed.commits;
        sum.messages += due.length;
        sum.applied.push(...followed.applied);
        sum.projections = plus(sum.projections, followed.projections);
        sum.relay = plus(sum.relay, followed.relay);
        sum.processors = plus(sum.processors, worked.usage);
      }
      return sum;
    },

    async close() {
      await app.close();
      opened.close();
    },
  };
}

const none: Usage = new Map();
