/** The checker over the ports of AWS: nothing to say of backups made there, and damage found there too. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { announcements } from '../../../activity/announce.ts';
import { connectSource } from '../../../commands/connect-source.ts';
import { createJob } from '../../../commands/create-job.ts';
import { runJob } from '../../../commands/run-job.ts';
import type { QueueName, Wakeup } from '../../../domain/ports.ts';
import { type AwsMachine, openAws } from '../../../infra/aws/machine.ts';
import { routes } from '../../../processors/index.ts';
import { awsList } from '../../../processors/meter.ts';
import type { Home } from '../../../processors/run.ts';
import { handleMessage } from '../../../processors/runner.ts';
import { projections } from '../../../projections/index.ts';
import { handleWakeups } from '../../../projections/runner.ts';
import { changeCorpus, makeCorpus } from '../../faults/corpus.ts';
import { little } from '../../faults/little.ts';
import { account, command } from '../../faults/world.ts';
import { makeStage, ministackClients } from '../../support/aws-resources.ts';
import { expectClean, findingsOf } from '../../support/check.ts';
import { temporaryFolder } from '../../support/embedded.ts';

let machine: AwsMachine;
let home: Home;
let source: string;
let appended: Wakeup[] = [];

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
  machine = { ...opened, events: { ...events, append } };
  const connectors = () => ({ allowHosts: [], folders: { roots: 'any', never: [] } }) as const;
  home = { machine, connectors, prices: awsList, limits: little };
  source = await temporaryFolder();
  await makeCorpus(source);
});
afterAll(async () => {
  machine.close();
  await rm(source, { recursive: true });
});

/** What streams and rules do: read models, ledger, and the bus's messages. */
async function follow(): Promise<void> {
  while (appended.length > 0) {
    const wakeups = appended;
    appended = [];
    await handleWakeups(machine, projections, wakeups);
    for (const { commits, error } of await machine.relay.sequence(wakeups)) {
      if (error) throw error;
      const told = (await Promise.all(commits.map((commit) => announcements(machine, commit)))).flat();
      for (const { queue, types } of routes) {
        const bodies = told.filter(({ type }) => types.includes(type)).map((event) => ({ body: { ...event } }));
        if (bodies.length > 0) await machine.queue.send(queue, bodies);
      }
    }
  }
}

async function settle(): Promise<void> {
  for (let idle = 0; idle < 2; ) {
    await follow();
    let handled = 0;
    for (const queue of ['job', 'data'] satisfies QueueName[]) {
      for (const { body, receipt, receives } of await machine.queue.receive(queue, { max: 10, visibilitySeconds: 600 })) {
        await handleMessage(home, body, { receives, deadline: Number.POSITIVE_INFINITY });
        await machine.queue.ack(queue, receipt);
        handled++;
      }
    }
    idle = handled === 0 ? idle + 1 : 0;
  }
}

it('has nothing to say of what is whole, and finds what is not', async () => {
  const { id: sourceId } = await connectSource(machine, command(), {
    type: 'folder',
    name: 'Papers',
    config: { path: source },
    credentials: null,
  });
  const { id: jobId } = await createJob(machine, command(), { name: 'Nightly', sourceId });
  await runJob(machine, command(), jobId);
  await settle();
  await changeCorpus(source);
  await runJob(machine, command(), jobId);
  await settle();
  const checked: { [what: string]: number } = {};
  await expectClean(machine, {
    home,
    count(what, many = 1) {
      checked[what] = (checked[what] ?? 0) + many;
    },
  });
  for (const what of ['ledger', 'row', 'cursor', 'segment', 'pack-slot', 'file', 'chunk-index', 'source'])
    expect(checked[what], what).toBeGreaterThan(0);

  const kinds = async () =>
    [...new Set((await findingsOf(machine)).filter(({ level }) => level === 'failure').map(({ what }) => what))].sort();
  await machine.rows.apply('test', 'a/b/c', 1, [
    { op: 'update', table: 'analytics-aggregates', pk: account, sk: 'runs', add: { succeeded: 1 } },
  ]);
  expect(await kinds()).toEqual(['row']);
  const [pack] = (await machine.blobs.list('packs/', { limit: 1 })).items;
  await machine.blobs.delete([pack?.key ?? '']);
  expect(await kinds()).toEqual(['chunk-index', 'file', 'pack-footer', 'row']);
});
