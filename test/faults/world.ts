/** Runs backups in this process. The test delivers the messages and can repeat, delay and reorder them. */
import { rm } from 'node:fs/promises';
import { relative } from 'node:path';
import { expect, onTestFailed, onTestFinished } from 'vitest';
import { announcementsOf } from '../../activity/announce.ts';
import { sha256 } from '../../activity/commit.ts';
import { connectSource } from '../../commands/connect-source.ts';
import type { CommandContext } from '../../commands/context.ts';
import { createJob } from '../../commands/create-job.ts';
import { runJob } from '../../commands/run-job.ts';
import { keyBytes } from '../../domain/entry.ts';
import type { Blobs, JsonObject, Platform, QueueName, Received } from '../../domain/ports.ts';
import { type Chaos, makeChaos } from '../../infra/embedded/chaos.ts';
import type { Embedded } from '../../infra/embedded/platform.ts';
import type { Deployment } from '../../processors/deployment.ts';
import { routes } from '../../processors/index.ts';
import { maintain } from '../../processors/maintain.ts';
import { free } from '../../processors/meter.ts';
import { handleMessage } from '../../processors/runner.ts';
import { getOverview } from '../../projections/analytics-aggregates.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { findRestorePoint, listFiles, readerContext } from '../../projections/files/listing.ts';
import { projections } from '../../projections/index.ts';
import { getRun, listRuns } from '../../projections/runs.ts';
import { openGroups, openTasks } from '../../tasks/task-records.ts';
import { readFile } from '../../vault/read-file.ts';
import { entries, openManifest } from '../../vault/reader.ts';
import { openTestPlatform, temporaryFolder } from '../support/embedded.ts';
import { auditLedger } from '../support/ledger.ts';
import { withFaults } from './fault-schedule.ts';
import { smallLimits } from './small-limits.ts';

export const account = 'acc_test';

export type Handle = (body: JsonObject) => Promise<void>;
export type World = {
  platform: Embedded['platform'];
  deployment: Deployment;
  /** The folder that is backed up. */
  source: string;
  jobId: string;
  sourceId: string;
  /** Requests a run. Returns its id. */
  request(): Promise<string>;
  /**
   * Delivers messages until none is left, and waits for the read models. Failed messages are delivered again. The clock
   * moves on while tasks wait for a time, for a lost message or for the lease of a worker, unless their run is paused.
   */
  settle(handle?: Handle): Promise<void>;
  /** Moves the clock on, and does what a deployment does every minute. */
  pass(milliseconds: number): Promise<void>;
  /** Receives up to ten messages that are visible now. */
  receive(queue: QueueName): Promise<Received[]>;
  handle: Handle;
  /** Errors of `settle`. */
  failures: unknown[];
  /** Waits until read models and bus have processed every commit. */
  caughtUp(): Promise<void>;
  /** How many faults the seed injected. */
  faults(): number;
};

let commands = 0;
export function command(): CommandContext {
  return {
    account,
    actor: { type: 'user', id: 'usr_test' },
    commandId: `command-${++commands}`,
    correlationId: 'test',
  };
}

type WorldOptions = {
  /** The data folder, by default a new one. */
  data?: string;
  chaos?: Chaos;
  reached?: Deployment['reached'];
  now?: () => number;
  /** Instead of files in the data folder. */
  blobs?: Blobs;
  /** How many concurrent workers project each commit. */
  projectors?: number;
  /** Injects all faults of fault-schedule.ts, and of feeds and queues, at moments that the seed picks. */
  seed?: number;
};

/** A source over a new, empty folder and a job, on a self-hosted platform that closes with the test. */
export async function makeWorld({
  data,
  seed,
  reached,
  now,
  blobs,
  projectors = 1,
  ...more
}: WorldOptions = {}): Promise<World> {
  const chaos = more.chaos ?? (seed === undefined ? undefined : makeChaos(seed));
  const faults = chaos && seed !== undefined ? withFaults(chaos) : undefined;
  if (seed !== undefined) {
    const { testPath = '', currentTestName = '' } = expect.getState();
    onTestFailed(() =>
      console.error(
        `again: LISTBACKUP_SEED=${seed} npx vitest run --project unit ${relative('', testPath)} # ${currentTestName}`,
      ),
    );
  }
  let skippedMs = 0;
  const { platform, feed } = await openTestPlatform({
    routes,
    now: () => (now ?? Date.now)() + skippedMs,
    ...(data && { data }),
    ...(chaos && { chaos }),
    ...(blobs && { blobs }),
  });
  const source = await temporaryFolder();
  onTestFinished(() => rm(source, { recursive: true, force: true }));
  const deployment: Deployment = {
    platform: faults?.watch(platform) ?? platform,
    connectors: () => ({ allowHosts: [], folders: { roots: 'any', never: [] } }),
    prices: free,
    limits: smallLimits,
    ...((reached ?? faults) && { reached: reached ?? faults?.reached }),
  };
  const feeds = [
    feed('projections', async (notifications) => {
      await Promise.all(
        Array.from({ length: projectors }, () => handleNotifications(deployment.platform, projections, notifications)),
      );
    }),
    feed('bus', async (notifications) => {
      const commits = await platform.events.getMany(notifications);
      await platform.bus.publish(await announcementsOf(platform, commits));
    }),
  ];
  const { id: sourceId } = await connectSource(platform, command(), {
    type: 'folder',
    name: 'Papers',
    config: { path: source },
    credentials: null,
  });
  const { id: jobId } = await createJob(platform, command(), { name: 'Nightly', sourceId });

  const failures: unknown[] = [];
  const caughtUp = async () => void (await Promise.all(feeds.map((each) => each.caughtUp())));
  const receive = (queue: QueueName) => platform.queue.receive(queue, { max: 10, visibilitySeconds: 600 });
  const once: Handle = (body) => handleMessage(deployment, body, { deadline: Number.POSITIVE_INFINITY });
  // Injected faults must not use up the receives of a message
  const handle: Handle = faults ? (body) => faults.untilDone(() => once(body)) : once;

  async function pass(milliseconds: number): Promise<void> {
    skippedMs += milliseconds;
    await maintain({ ...deployment, platform });
  }

  async function settle(handleOne: Handle = handle): Promise<void> {
    for (;;) {
      await caughtUp();
      const [jobs, data] = [await receive('job'), await receive('data')];
      if (jobs.length + data.length === 0) {
        if (await skipPause()) continue;
        return;
      }
      await Promise.all([...jobs.map((each) => work('job', each)), ...data.map((each) => work('data', each))]);
    }
    /** Moves the clock on to the next time at which a task is sent. False: no task is open, or all are paused. */
    async function skipPause(): Promise<boolean> {
      const groups = await openGroups(platform.records, account);
      const open = [...groups].filter(([, { isPaused, isCancelled }]) => isCancelled || !isPaused);
      if (open.length === 0) return false;
      const now = platform.now();
      const tasks = await openTasks(platform.records, { account });
      const times = tasks
        .filter(({ ref }) => open.some(([group]) => group === ref.group))
        .flatMap(({ task }) => (task.leaseUntil > 0 ? [task.leaseUntil] : [task.dueAt, task.resendAt]));
      // Delays of messages are whole seconds.
      await pass(Math.min(60_000, ...times.filter((at) => at > now).map((at) => at - now)) + 1000);
      return true;
    }
    async function work(queue: QueueName, { body, receipt }: Received): Promise<void> {
      try {
        await handleOne(body);
        await platform.queue.ack(queue, receipt);
      } catch (error) {
        failures.push(error);
        await platform.queue.extend(queue, receipt, 0);
      }
    }
  }

  return {
    ...{ platform, deployment, source, jobId, sourceId, settle, pass, receive, handle, failures, caughtUp },
    faults: () => faults?.count() ?? 0,
    request: async () => (await runJob(platform, command(), jobId)).id,
  };
}

/** The content of read models, vault and ledger, without ids, times and costs, which differ between two worlds. */
export async function pictureOf(world: Pick<World, 'jobId'> & { platform: Platform }) {
  const { platform } = world;
  const { items: runs } = await listRuns(platform, account, { limit: 100 });
  const { items: files } = await listFiles(platform, account, { recursive: true }, { limit: 1000 });
  const { cost: _, lastRunAt: __, bytesStored: ___, ...overview } = await getOverview(platform, account);
  return {
    runs: runs.map(({ status, errors, progress: { bytesStored: _, ...progress } }) => ({ status, errors, progress })),
    overview,
    events: await auditLedger(platform, account),
    files: files.map(({ path, pathBytes, kind, size, sha256: hash, versions }) => ({
      path,
      pathBytes,
      kind,
      size,
      hash,
      versions,
    })),
    restored: await restored(world),
  };
}

/** The hash of each file as restored from the newest restore point. */
async function restored({
  platform,
  jobId,
}: Pick<World, 'jobId'> & { platform: Platform }): Promise<{ [key: string]: string }> {
  const hashes: { [key: string]: string } = {};
  const restorePoint = await findRestorePoint(platform, account, { jobId });
  if (!restorePoint) return hashes;
  const vault = await readerContext(platform, account);
  for await (const entry of entries(vault, await openManifest(vault, restorePoint.manifest))) {
    if (entry.kind !== 'file') continue;
    const content: Uint8Array[] = [];
    for await (const piece of readFile(vault, entry)) content.push(piece);
    hashes[Buffer.from(keyBytes(entry.key)).toString('latin1')] = sha256(Buffer.concat(content));
  }
  return hashes;
}

export async function statusOf({ platform }: World, runId: string) {
  return (await getRun(platform, account, runId))?.status;
}
