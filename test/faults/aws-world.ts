/**
 * Runs backups on the AWS ports in this process, behind a fault proxy. Every call of the product goes through it.
 * The test delivers stream records and messages itself, without faults.
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
import type { Message, QueueName, StreamNotification } from '../../domain/ports.ts';
import { busSource } from '../../infra/aws/bus.ts';
import { type AwsClients, awsClients } from '../../infra/aws/clients.ts';
import type { AwsEnvironment } from '../../infra/aws/environment.ts';
import { type AwsPlatform, openAws } from '../../infra/aws/platform.ts';
import { awsList } from '../../infra/aws/prices.ts';
import { relayAgain, relayNotifications } from '../../infra/aws/relay-notifications.ts';
import type { Deployment } from '../../processors/deployment.ts';
import { routes } from '../../processors/index.ts';
import { handleMessage } from '../../processors/runner.ts';
import { tasksOf } from '../../processors/tasks.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { projections } from '../../projections/index.ts';
import { reap } from '../../tasks/reaper.ts';
import { resendMs } from '../../tasks/task.ts';
import { openGroups } from '../../tasks/task-records.ts';
import { makeStage, ministackClients } from '../emulator/aws-resources.ts';
import { creatingKeys, silent } from '../support/embedded.ts';
import { type FaultProxy, type Plan, startFaultProxy } from './fault-proxy.ts';
import { smallLimits } from './small-limits.ts';
import { account, command, type Handle } from './world.ts';

/** Divides the SDK's pauses between attempts, so that seconds become milliseconds. */
export const pauseDivisor = 50;

export type Stage = AwsEnvironment & { [name: string]: string };

/** A proxy to ministack that closes with the test. If the test fails, it prints the injected faults. */
export async function testProxy(stage: Stage, seed: number, plan?: Plan): Promise<FaultProxy> {
  const proxy = await startFaultProxy({ target: stage.AWS_ENDPOINT_URL ?? '', seed, ...(plan && { plan }) });
  onTestFinished(() => proxy.close());
  onTestFailed(() => console.error(proxy.summary()));
  return proxy;
}

/** The platform of a stage behind the proxy. It retries as often as in production, with short pauses. */
export function openWithFaults(stage: Stage, proxy: FaultProxy): AwsPlatform {
  const env = { ...stage, AWS_ENDPOINT_URL: proxy.endpoint };
  const platform = openAws(env, awsClients(env, pauseDivisor));
  onTestFinished(() => platform.close());
  return { ...platform, keys: creatingKeys(platform.keys), log: silent };
}

export type AwsWorld = {
  proxy: FaultProxy;
  /** Calls go through the proxy. */
  platform: AwsPlatform;
  /** Calls go to ministack directly, without faults. */
  calm: AwsPlatform;
  deployment: Deployment;
  /** The folder that is backed up. */
  source: string;
  sourceId: string;
  jobId: string;
  /** Requests a run, repeating the same command until it is answered. Returns its id. */
  request(): Promise<string>;
  /** Delivers the pending notifications to projections and relay. Returns their number. */
  follow(): Promise<number>;
  /** Runs the relay's schedule, which AWS runs each minute. */
  minute(): Promise<void>;
  handle: Handle;
  /**
   * Delivers notifications and messages until none is left and all tasks are done. Failed messages are sent again. The
   * clock jumps over pauses.
   */
  settle(handle?: Handle): Promise<void>;
  /** Errors of attempts that were repeated. */
  failures: unknown[];
};

/** A stage of its own with a source over a new, empty folder and a job. No faults until the proxy's `plan` is set. */
export async function makeAwsWorld(seed: number): Promise<AwsWorld> {
  const clients = ministackClients();
  onTestFinished(() => clients.close());
  const stage = await makeStage(clients);
  await makeRoutes(clients, stage);
  const proxy = await testProxy(stage, seed, () => undefined);
  const opened = openAws(stage);
  let skippedMs = 0;
  const now = () => Date.now() + skippedMs;
  const calm = { ...opened, keys: creatingKeys(opened.keys), log: silent, now };
  onTestFinished(() => calm.close());
  const notifications: StreamNotification[] = [];
  const delayed: { queue: QueueName; message: Message }[] = [];
  const platform = watched({ ...openWithFaults(stage, proxy), now }, notifications, delayed);
  const source = await mkdtemp(join(tmpdir(), 'listbackup-'));
  onTestFinished(() => rm(source, { recursive: true, force: true }));
  const deployment: Deployment = {
    platform,
    connectors: () => ({ allowHosts: [], folders: { roots: 'any', never: [] } }),
    prices: awsList,
    limits: smallLimits,
  };
  const failures: unknown[] = [];
  /** Repeats failed work, as streams and event source mappings do. */
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
    const pending = notifications.splice(0);
    if (pending.length > 0) {
      await Promise.all([
        again(() => handleNotifications(platform, projections, pending)),
        again(() => relayNotifications(platform, pending)),
      ]);
    }
    return pending.length;
  }

  const handle: Handle = (body) => handleMessage(deployment, body, { deadline: Number.POSITIVE_INFINITY });

  async function work(queue: QueueName, how: Handle): Promise<number> {
    const messages = await calm.queue.receive(queue, { max: 10, visibilitySeconds: 600 });
    await Promise.all(
      messages.map(async ({ body, receipt }) => {
        try {
          await how(body);
          await calm.queue.ack(queue, receipt);
        } catch (error) {
          failures.push(error);
          // The fault is injected, so the failure must not count: a new message starts with all its receives
          await calm.queue.send(queue, [{ body }]);
          await calm.queue.ack(queue, receipt);
        }
      }),
    );
    return messages.length;
  }

  const minute = () => again(() => relayAgain(platform));

  /** Moves the clock on to the next attempt of a task, and sends lost tasks again. False: all tasks are done. */
  async function skipPause(): Promise<boolean> {
    const due = delayed.splice(0);
    if (due.length > 0) {
      skippedMs += 1000 * Math.max(...due.map(({ message }) => message.delaySeconds ?? 0));
      for (const { queue, message } of due)
        await again(() => platform.queue.send(queue, [{ ...message, delaySeconds: 0 }]));
      return true;
    }
    if ((await openGroups(calm.records, account)).size === 0) return false;
    skippedMs += resendMs;
    await again(() => reap(tasksOf(deployment)));
    return true;
  }

  async function settle(how = handle): Promise<void> {
    for (let idle = 0; idle < 2; ) {
      const done = (await follow()) + (await work('job', how)) + (await work('data', how));
      if (done > 0 || (await skipPause())) idle = 0;
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

/**
 * Records a notification for every append that may have happened: DynamoDB streams it even if the answer is lost. Keeps
 * messages with a delay in `delayed`.
 */
function watched(
  platform: AwsPlatform,
  notifications: StreamNotification[],
  delayed: { queue: QueueName; message: Message }[],
): AwsPlatform {
  const { events, queue } = platform;
  return {
    ...platform,
    events: {
      ...events,
      append: (commit) =>
        events.append(commit).finally(() => notifications.push({ stream: commit.stream, version: commit.version })),
    },
    queue: {
      ...queue,
      async send(name, messages) {
        const isDelayed = ({ delaySeconds = 0 }: Message) => delaySeconds > 0;
        delayed.push(...messages.filter(isDelayed).map((message) => ({ queue: name, message })));
        await queue.send(
          name,
          messages.filter((message) => !isDelayed(message)),
        );
      },
    },
  };
}

/** The rules from bus to queues, as the CDK app makes them. */
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
