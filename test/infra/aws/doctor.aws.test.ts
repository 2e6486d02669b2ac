/** The doctor on the AWS adapters: no findings on intact backups, and findings for damage. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { announcementsOf } from '../../../activity/announce.ts';
import { connectSource } from '../../../commands/connect-source.ts';
import { createJob } from '../../../commands/create-job.ts';
import { runJob } from '../../../commands/run-job.ts';
import type { QueueName, StreamNotification } from '../../../domain/ports.ts';
import { type AwsPlatform, openAws } from '../../../infra/aws/platform.ts';
import { awsList } from '../../../infra/aws/prices.ts';
import type { Deployment } from '../../../processors/deployment.ts';
import { routes } from '../../../processors/index.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { projections } from '../../../projections/index.ts';
import { makeStage, ministackClients } from '../../emulator/aws-resources.ts';
import { changeCorpus, makeCorpus } from '../../faults/corpus.ts';
import { smallLimits } from '../../faults/small-limits.ts';
import { account, command } from '../../faults/world.ts';
import { expectClean, findingsOf } from '../../support/check.ts';
import { creatingKeys, temporaryFolder } from '../../support/embedded.ts';

let platform: AwsPlatform;
let deployment: Deployment;
let source: string;
let appended: StreamNotification[] = [];

beforeAll(async () => {
  const clients = ministackClients();
  const opened = openAws(await makeStage(clients));
  clients.close();
  const { events } = opened;
  const append: typeof events.append = async (commit) => {
    const outcome = await events.append(commit);
    if (outcome === 'appended') appended.push(commit);
    return outcome;
  };
  platform = { ...opened, keys: creatingKeys(opened.keys), events: { ...events, append } };
  const connectors = () => ({ allowHosts: [], folders: { roots: 'any', never: [] } }) as const;
  deployment = { platform, connectors, prices: awsList, limits: smallLimits };
  source = await temporaryFolder();
  await makeCorpus(source);
});
afterAll(async () => {
  platform.close();
  await rm(source, { recursive: true });
});

/** Does the work of stream mappings and bus rules: read models, ledger and queue messages. */
async function processNotifications(): Promise<void> {
  while (appended.length > 0) {
    const notifications = appended;
    appended = [];
    await handleNotifications(platform, projections, notifications);
    for (const { commits, error } of await platform.relay.sequence(notifications)) {
      if (error) throw error;
      const busEvents = await announcementsOf(platform, commits);
      for (const { queue, types } of routes) {
        const bodies = busEvents.filter(({ type }) => types.includes(type)).map((event) => ({ body: { ...event } }));
        if (bodies.length > 0) await platform.queue.send(queue, bodies);
      }
    }
  }
}

async function settle(): Promise<void> {
  for (let idle = 0; idle < 2; ) {
    await processNotifications();
    let handled = 0;
    for (const queue of ['job', 'data'] satisfies QueueName[]) {
      for (const { body, receipt } of await platform.queue.receive(queue, {
        max: 10,
        visibilitySeconds: 600,
      })) {
        await handleMessage(deployment, body, { deadline: Number.POSITIVE_INFINITY });
        await platform.queue.ack(queue, receipt);
        handled++;
      }
    }
    idle = handled === 0 ? idle + 1 : 0;
  }
}

it('reports nothing on intact data and finds damage', async () => {
  const { id: sourceId } = await connectSource(platform, command(), {
    type: 'folder',
    name: 'Papers',
    config: { path: source },
    credentials: null,
  });
  const { id: jobId } = await createJob(platform, command(), { name: 'Nightly', sourceId });
  await runJob(platform, command(), jobId);
  await settle();
  await changeCorpus(source);
  await runJob(platform, command(), jobId);
  await settle();
  const checked: { [what: string]: number } = {};
  await expectClean(platform, {
    deployment,
    count(what, many = 1) {
      checked[what] = (checked[what] ?? 0) + many;
    },
  });
  for (const what of ['ledger', 'row', 'cursor', 'segment', 'pack-slot', 'file', 'chunk-index', 'source'])
    expect(checked[what], what).toBeGreaterThan(0);

  const kinds = async () =>
    [
      ...new Set((await findingsOf(platform)).filter(({ severity }) => severity === 'failure').map(({ what }) => what)),
    ].sort();
  await platform.rows.apply('test', 'a/b/c', 1, [
    { op: 'update', table: 'analytics-aggregates', pk: account, sk: 'runs', add: { succeeded: 1 } },
  ]);
  expect(await kinds()).toEqual(['row']);
  const [pack] = (await platform.blobs.list('packs/', { limit: 1 })).items;
  await platform.blobs.delete([pack?.key ?? '']);
  expect(await kinds()).toEqual(['file', 'pack-footer', 'pack-registry', 'row']);
});
