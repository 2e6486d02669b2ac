/** The self-hosted server: API, live socket, projections, bus and workers in one process, over one data folder. */
import { type AddressInfo, isIPv6 } from 'node:net';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { announcementsOf } from '../../activity/announce.ts';
import { buildApp } from '../../api/app.ts';
import { readRoutes } from '../../api/route.ts';
import { routes as apiRoutes } from '../../api/routes/index.ts';
import { requireSecrets } from '../../api/secret-keys.ts';
import type { ConnectorContext } from '../../connectors/connector.ts';
import { parseStream } from '../../domain/event.ts';
import type { Log, Platform } from '../../domain/ports.ts';
import pkg from '../../package.json' with { type: 'json' };
import type { Deployment } from '../../processors/deployment.ts';
import { routes } from '../../processors/index.ts';
import type { Limits } from '../../processors/limits.ts';
import { maintain } from '../../processors/maintain.ts';
import { free } from '../../processors/meter.ts';
import { handleMessage } from '../../processors/runner.ts';
import { tasksOf } from '../../processors/tasks.ts';
import { maintainEmpty } from '../../projections/engine/maintain.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { projections } from '../../projections/index.ts';
import { countGroups, takeBackAll } from '../../tasks/reaper.ts';
import { blobFolder, temporaryFolder } from './blobs.ts';
import { noteBucket, openBucket, requireSameBucket } from './bucket.ts';
import type { Chaos } from './chaos.ts';
import { chunkIndexFile } from './chunk-index.ts';
import { openEnginePool } from './engine-pool.ts';
import { openLive } from './live.ts';
import { startMaintenance } from './maintenance.ts';
import { type Embedded, openEmbedded } from './platform.ts';
import type { Settings } from './settings.ts';
import { type Handle, startWorkers } from './workers.ts';

/** `openRuns` counts the runs that are open now. */
export type RunningServer = {
  url: string;
  version: string;
  openRuns(): Promise<number>;
  embedded: Embedded;
  close(): Promise<void>;
};

const tasksMilliseconds = 60_000;
const maxThreads = 8;
/** Four accounts can plan two runs at once, and each has eight batches in hand. Most of the time they wait. */
const workers = { job: 8, data: 32 };
const loopbackNames = ['localhost', '127.0.0.1', '[::1]'];

/** The host as clients write it in URLs and Host headers: an IPv6 address in brackets, in its shortest form. */
export function urlHost(host: string): string {
  return new URL(`http://${isIPv6(host) ? `[${host}]` : host}`).hostname;
}

/**
 * For tests: unreliable delivery, a call at every step boundary, small limits, a wrapped platform and the number of
 * worker threads. With `sharedBlobs` the worker threads use the blobs of that platform, instead of the files.
 */
export type Testing = {
  sharedBlobs?: boolean;
  chaos?: Chaos;
  reached?: NonNullable<Deployment['reached']>;
  limits?: Limits;
  threads?: number;
  watch?: (platform: Platform) => Platform;
};

/** Starts the server. Throws an Error that `describeStartError` turns into one line. */
export async function startServer(settings: Settings, log: Log, testing: Testing = {}): Promise<RunningServer> {
  const { chaos, reached, limits, sharedBlobs = false, watch = (platform) => platform } = testing;
  const { threads = Math.min(availableParallelism(), maxThreads) } = testing;
  await requireSameBucket(settings.data, settings.blobs);
  const bucket = settings.blobs && (await openBucket(settings.blobs));
  const embedded = await openEmbedded({
    data: settings.data,
    log,
    routes,
    graceDays: settings.graceDays,
    ...(bucket && { blobs: bucket.blobs }),
    ...(chaos && { chaos }),
  }).catch((error) => {
    bucket?.close();
    throw error;
  });
  const platform = watch(embedded.platform);
  const connectorContext = contextFor(embedded, settings);
  const root = blobFolder(settings.data);
  const files = bucket || sharedBlobs ? undefined : { root, temporary: temporaryFolder(root) };
  const engine = openEnginePool(threads, { index: join(settings.data, chunkIndexFile), files }, platform);
  let onProgress: Deployment['progressed'];
  const deployment: Deployment = {
    platform,
    connectors: connectorContext,
    prices: free,
    workers,
    engine,
    progressed: (account, runId) => onProgress?.(account, runId),
    ...(reached && { reached }),
    ...(limits && { limits }),
  };
  try {
    if (settings.blobs) await noteBucket(settings.data, settings.blobs);
    const trustedHosts = [...loopbackNames, urlHost(settings.host), ...settings.hostNames];
    await requireSecrets(platform);
    // Load all routes now. An update may replace their files while this version runs.
    await readRoutes(apiRoutes);
    const app = await buildApp({
      platform,
      deployment: 'self-hosted',
      connectorContext,
      followers: projections,
      rateScale: settings.rateScale,
      trustedHosts,
    });
    const live = openLive(app.server, embedded.sockets, platform, trustedHosts);
    onProgress = live.progress;
    await maintainEmpty(platform, projections);
    await app.listen({ host: settings.host, port: settings.port });

    embedded.feed('projections', async (notifications) => {
      await handleNotifications(platform, projections, notifications);
      live.notify(new Set(notifications.map(({ stream }) => parseStream(stream).account)));
      await reached?.('feed:projected');
    });
    embedded.feed('bus', async (notifications) => {
      const commits = await platform.events.getMany(notifications);
      await platform.bus.publish(await announcementsOf(platform, commits));
      await reached?.('feed:published');
    });
    const work: Handle = async (body, delivery) => {
      await handleMessage(deployment, body, delivery);
      await reached?.('work:done');
    };
    await takeBackAll(tasksOf(deployment));
    const stopWorkers = [
      startWorkers(platform.queue, 'job', workers.job, work, log),
      startWorkers(platform.queue, 'data', workers.data, work, log),
    ];
    const stopMaintenance = startMaintenance(platform, projections);
    const sweeping = setInterval(
      () => maintain(deployment).catch((error) => log.error('maintenance failed', {}, error)),
      tasksMilliseconds,
    );

    const { port } = app.server.address() as AddressInfo;
    return {
      url: `http://${urlHost(settings.host)}:${port}`,
      version: pkg.version,
      openRuns: () => countGroups(platform.records),
      embedded,
      async close() {
        clearInterval(sweeping);
        await stopMaintenance();
        await live.stop();
        await app.close();
        embedded.stopReceiving();
        const stopped = Promise.all(stopWorkers.map((stop) => stop()));
        await engine.close();
        await stopped;
        await embedded.close();
        bucket?.close();
      },
    };
  } catch (error) {
    await engine.close();
    await embedded.close();
    bucket?.close();
    throw error;
  }
}

/** The first account set up the server and may back up every folder. Others may back up `LISTBACKUP_FOLDERS`. */
function contextFor(embedded: Embedded, settings: Settings): (account: string) => ConnectorContext {
  const { allowHosts, folders, data } = settings;
  return (account) => {
    const roots = embedded.firstAccount() === account ? 'any' : folders;
    return { allowHosts, folders: { roots, never: [data] } };
  };
}
