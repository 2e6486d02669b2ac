/** The whole product in one process: API, projections, bus, workers, over one data folder. */
import type { AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import { announcements } from '../../activity/announce.ts';
import { buildApp } from '../../api/app.ts';
import { readRoutes } from '../../api/route.ts';
import { routes as apiRoutes } from '../../api/routes/index.ts';
import { requireSecrets } from '../../api/secret-keys.ts';
import type { ConnectorContext } from '../../connectors/connector.ts';
import { parseStream } from '../../domain/event.ts';
import type { Log, Machine } from '../../domain/ports.ts';
import pkg from '../../package.json' with { type: 'json' };
import { routes } from '../../processors/index.ts';
import { openIntake } from '../../processors/intake.ts';
import { free } from '../../processors/meter.ts';
import type { Home, Limits } from '../../processors/run.ts';
import { handleMessage } from '../../processors/runner.ts';
import { sweep } from '../../processors/sweep.ts';
import { openRuns } from '../../processors/watch.ts';
import { projections } from '../../projections/index.ts';
import { handleWakeups } from '../../projections/runner.ts';
import { tendEmpty } from '../../projections/tend.ts';
import { sharedPackers } from '../../vault/shared-packers.ts';
import { openWorkerPool } from '../../vault/worker-pool.ts';
import { notePlace, openBucket, requireSamePlace } from './bucket.ts';
import { openLive } from './live.ts';
import { type Embedded, openEmbedded } from './machine.ts';
import type { Settings } from './settings.ts';
import { startTending } from './tending.ts';
import type { Trouble } from './trouble.ts';
import { type Handle, startWorkers } from './workers.ts';

/** `runsOpen`: how many runs were under way when it started, and go on now. */
export type RunningHome = { url: string; version: string; runsOpen: number; embedded: Embedded; close(): Promise<void> };

const sweepMilliseconds = 60_000;
/** More would wait for the one thread that reads and writes. */
const mostVaultWorkers = 8;
/** Some read while others wait until what they read is durable. */
const dataLoops = 4;
const loopbackNames = ['localhost', '127.0.0.1', '[::1]'];

/** For tests: unreliable delivery, a word at every step boundary, little steps, and a machine that is watched. */
export type Testing = {
  trouble?: Trouble;
  reached?: NonNullable<Home['reached']>;
  limits?: Limits;
  watch?: (machine: Machine) => Machine;
};

/** Throws when the port is taken. */
export async function startHome(settings: Settings, log: Log, testing: Testing = {}): Promise<RunningHome> {
  const { trouble, reached, limits, watch = (machine) => machine } = testing;
  await requireSamePlace(settings.data, settings.blobs);
  const bucket = settings.blobs && (await openBucket(settings.blobs));
  const embedded = await openEmbedded({
    data: settings.data,
    log,
    routes,
    ...(bucket && { blobs: bucket.blobs }),
    ...(trouble && { trouble }),
  }).catch((error) => {
    bucket?.close();
    throw error;
  });
  const machine = watch(embedded.machine);
  const connectorContext = contextFor(embedded, settings);
  const { blobs, records, random } = machine;
  const workers = openWorkerPool(Math.min(availableParallelism(), mostVaultWorkers));
  const storing = { workers, packers: sharedPackers({ blobs, records, random, workers }), intake: openIntake() };
  const home: Home = {
    machine,
    connectors: connectorContext,
    prices: free,
    storing,
    ...(reached && { reached }),
    ...(limits && { limits }),
  };
  try {
    if (settings.blobs) await notePlace(settings.data, settings.blobs);
    const trustedHosts = [...loopbackNames, settings.host.toLowerCase(), ...settings.hostNames];
    await requireSecrets(machine);
    // All of them now: another version of the files may be put in place while this one runs.
    await readRoutes(apiRoutes);
    const app = await buildApp({
      machine,
      home: 'embedded',
      connectorContext,
      followers: projections,
      rateScale: settings.rateScale,
      trustedHosts,
    });
    const live = openLive(app.server, embedded.sockets, machine, trustedHosts);
    await tendEmpty(machine, projections);
    await app.listen({ host: settings.host, port: settings.port });

    embedded.feed('projections', async (wakeups) => {
      await handleWakeups(machine, projections, wakeups);
      live.wake(new Set(wakeups.map(({ stream }) => parseStream(stream).account)));
      await reached?.('feed:projected');
    });
    embedded.feed('bus', async (wakeups) => {
      const commits = await machine.events.getMany(wakeups);
      await machine.bus.publish((await Promise.all(commits.map((commit) => announcements(machine, commit)))).flat());
      await reached?.('feed:published');
    });
    const work: Handle = async (body, delivery) => {
      await handleMessage(home, body, delivery);
      await reached?.('work:done');
    };
    const stopWorkers = [startWorkers(machine.queue, 'job', 2, work, log), startWorkers(machine.queue, 'data', dataLoops, work, log)];
    const stopTending = startTending(machine, projections);
    const sweeping = setInterval(() => sweep(home).catch((error) => log.error('sweep failed', {}, error)), sweepMilliseconds);

    const runsOpen = (await machine.records.query(openRuns, { limit: 1000 })).items.length;
    const { port } = app.server.address() as AddressInfo;
    const name = settings.host.includes(':') ? `[${settings.host}]` : settings.host;
    return {
      url: `http://${name}:${port}`,
      version: pkg.version,
      runsOpen,
      embedded,
      async close() {
        clearInterval(sweeping);
        await stopTending();
        await live.stop();
        await app.close();
        embedded.stopReceiving();
        await Promise.all(stopWorkers.map((stop) => stop()));
        await workers.close();
        await embedded.close();
        bucket?.close();
      },
    };
  } catch (error) {
    await embedded.close();
    bucket?.close();
    throw error;
  }
}

/** Folders are for whoever set the box up, the first account; others get the roots that were named for all. Never our own data. */
function contextFor(embedded: Embedded, settings: Settings): (account: string) => ConnectorContext {
  const { allowHosts, folders, data } = settings;
  return (account) => {
    const roots = embedded.firstAccount() === account ? 'any' : folders;
    return { allowHosts, folders: { roots, never: [data] } };
  };
}
