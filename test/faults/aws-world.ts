/**
 * The backup machinery on the ports of AWS, in this process, behind a fault proxy: what streams, rules and queues' mappings do between the
 * functions is done by the test, at once and by itself undisturbed; every call that the product makes goes through the proxy.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PutRuleCommand, PutTargetsCommand } from '@aws-sdk/client-eventbridge';
import { GetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { onTestFailed, onTestFinished } from 'vitest';
import { connectSource } from '../../commands/connect-source.ts';
import { createJob } from '../../commands/create-job.ts';
import { runJob } from '../../commands/run-job.ts';
import type { JsonObject, QueueName, StreamNotification } from '../../domain/ports.ts';
import { busSource } from '../../infra/aws/bus.ts';
import { type AwsClients, awsClients } from '../../infra/aws/clients.ts';
import type { AwsEnvironment } from '../../infra/aws/environment.ts';
import { type AwsPlatform, openAws } from '../../infra/aws/platform.ts';
import { relayAgain, relayNotifications } from '../../infra/aws/relay-notifications.ts';
import type { Deployment } from '../../processors/deployment.ts';
import { routes } from '../../processors/index.ts';
import { awsList } from '../../processors/meter.ts';
import { handleMessage } from '../../processors/runner.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { projections } from '../../projections/index.ts';
import { makeStage, ministackClients } from '../emulator/aws-resources.ts';
import { silent } from '../support/embedded.ts';
import { type FaultProxy, type Plan, startFaultProxy } from './fault-proxy.ts';
import { little } from './little.ts';
import { command } from './world.ts';

/** Pauses of seconds become some milliseconds. */
export const hurry = 50;

export type Stage = AwsEnvironment & { [name: string]: string };

/** A proxy before this run's ministack that goes with the test, and tells what it did when the test fails. */
export async function testProxy(stage: Stage, seed: number, plan?: Plan): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ target: stage.AWS_ENDPOINT_URL ?? '', seed, ...(plan && { plan }) });
  onTestFinished(() => proxy.close());
  onTestFailed(() => console.error(proxy.summary()));
  return proxy;
}

/** The machine of a stage whose every call goes through the proxy. It tries as often as any; only the pauses between are short. */
export function openWithFaults(stage: Stage, proxy: FaultProxy): AwsPlatform {
  const env = { ...stage, AWS_ENDPOINT_URL: proxy.endpoint };
  const platform = openAws(env, awsClients(env, hurry));
  onTestFinished(() => platform.close());
  return { ...platform, log: silent };
}

type Handle = (body: JsonObject, receives: number) => Promise<void>;
export type AwsWorld = {
  proxy: FaultProxy;
  /** Behind the proxy. */
  platform: AwsPlatform;
  /** Beside it. */
  calm: AwsPlatform;
  deployment: Deployment;
  /** The folder that is backed up. */
  source: string;
  sourceId: string;
  jobId: string;
  /** Asks for a run as a client does who asks again when there was no answer; its id. */
  request(): Promise<string>;
  /** What follows the stream hears of all commits that it has not heard of; how many. */
  follow(): Promise<number>;
  /** What comes by schedule, each minute. */
  minute(): Promise<void>;
  handle: Handle;
  /** Lets everything that was begun come to its end, its messages handled so. */
  settle(how?: Handle): Promise<void>;
  /** What was thrown meanwhile, and made good by another attempt. */
  failures: unknown[];
};

/** A stage of its own, with a source over a new, empty folder and a job. Until `plan` is set there is no trouble. */
export async function makeAwsWorld(seed: number): Promise<AwsWorld> {
  const clients = ministackClients();
  onTestFinished(() => clients.close());
  const stage = await makeStage(clients);
  await makeRoutes(clients, stage);
  const proxy = await testProxy(stage, seed, () => undefined);
  const calm = { ...openAws(stage), log: silent };
  onTestFinished(() => calm.close());
  const notifications: StreamNotification[] = [];
  const platform = watched(openWithFaults(stage, proxy), notifications);
  const source = await mkdtemp(join(tmpdir(), 'listbackup-'));
  onTestFinished(() => rm(source, { recursive: true, force: true }));
  const deployment: Deployment = {
    platform,
    connectors: () => ({ allowHosts: [], folders: { roots: 'any', never: [] } }),
    prices: awsList,
    limits: little,
  };
  const failures: unknown[] = [];
  /** As long as it takes, as streams and mappings do it. */
  const again = async <T>(work: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        failures.push(error);
        if (attempt === 20) throw error;
      }
    }
  };
  const connect = command();
  const { id: sourceId } = await connectSource(platform, connect, {
    type: 'folder',
    name: 'Papers',
    config: { path: source },
    credentials: null,
  });
  const { id: jobId } = await createJob(platform, command(), { name: 'Nightly', sourceId });

  async function follow(): Promise<number> {
    const some = notifications.splice(0);
    if (some.length > 0) {
      await Promise.all([
        again(() => handleNotifications(platform, projections, some)),
        again(() => relayNotifications(platform, some)),
      ]);
    }
    return some.length;
  }

  const handle: Handle = (body, receives) =>
    handleMessage(deployment, body, { receives, deadline: Number.POSITIVE_INFINITY });

  async function work(queue: QueueName, how: Handle): Promise<number> {
    const messages = await calm.queue.receive(queue, { max: 10, visibilitySeconds: 600 });
    await Promise.all(
      messages.map(async ({ body, receipt, receives }) => {
        try {
          await how(body, receives);
          await calm.queue.ack(queue, receipt);
        } catch (error) {
          failures.push(error);
          // It is not the message that is at fault: it may come as often as it takes, and a new one has all its tries before it
          await calm.queue.send(queue, [{ body }]);
          await calm.queue.ack(queue, receipt);
        }
      }),
    );
    return messages.length;
  }

  const minute = () => again(() => relayAgain(platform));

  async function settle(how = handle): Promise<void> {
    for (let idle = 0; idle < 2; ) {
      const done = (await follow()) + (await work('job', how)) + (await work('data', how));
      if (done > 0) idle = 0;
      else {
        await minute();
        const { items } = await calm.records.query('relay-aside', { limit: 1 });
        idle = items.length > 0 ? 0 : idle + 1;
      }
    }
  }

  return {
    ...{ proxy, platform, calm, deployment, source, sourceId, jobId, follow, minute, handle, settle, failures },
    async request() {
      const asked = command();
      return again(async () => (await runJob(platform, asked, jobId)).id);
    },
  };
}

/** Every append that may have happened is told to those who follow the stream, as DynamoDB does whatever became of the answer. */
function watched(platform: AwsPlatform, notifications: StreamNotification[]): AwsPlatform {
  const { events } = platform;
  return {
    ...platform,
    events: {
      ...events,
      append: (commit) =>
        events.append(commit).finally(() => notifications.push({ stream: commit.stream, version: commit.version })),
    },
  };
}

/** The rules that bring the bus's events to the queues, as the CDK app makes them. */
async function makeRoutes(clients: AwsClients, stage: Stage): Promise<void> {
  const arns = { job: await arnOf(clients, stage.JOB_QUEUE_URL), data: await arnOf(clients, stage.DATA_QUEUE_URL) };
  const EventBusName = stage.EVENT_BUS_NAME;
  for (const [index, { types, queue }] of routes.entries()) {
    const Name = `${EventBusName}-${index}`;
    await clients.events().send(
      new PutRuleCommand({
        Name,
        EventBusName,
        EventPattern: JSON.stringify({ source: [busSource], 'detail-type': types }),
      }),
    );
    const Targets = [{ Id: queue, Arn: arns[queue], InputPath: '$.detail' }];
    await clients.events().send(new PutTargetsCommand({ Rule: Name, EventBusName, Targets }));
  }
}

async function arnOf(clients: AwsClients, QueueUrl: string): Promise<string> {
  const answer = await clients.sqs().send(new GetQueueAttributesCommand({ QueueUrl, AttributeNames: ['QueueArn'] }));
  return answer.Attributes?.QueueArn ?? '';
}
