/** Runs every contract suite on the self-hosted platform. Also checks that each suite fails on a broken port. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll } from 'vitest';
import type { Platform } from '../../../domain/ports.ts';
import { type Embedded, openEmbedded } from '../../../infra/embedded/platform.ts';
import { blobPromises } from '../../contract/blobs.ts';
import { busPromises } from '../../contract/bus.ts';
import { chunkPromises } from '../../contract/chunks.ts';
import { eventPromises } from '../../contract/events.ts';
import { identityPromises } from '../../contract/identity.ts';
import { type KeyRingHarness, keyRingPromises } from '../../contract/key-ring.ts';
import type { PortPromise } from '../../contract/promise.ts';
import { type PushHarness, pushPromises } from '../../contract/push.ts';
import { queuePromises } from '../../contract/queue.ts';
import { recordPromises } from '../../contract/records.ts';
import { rowPromises } from '../../contract/rows.ts';
import { secretPromises } from '../../contract/secrets.ts';
import { describeBroken, describeContract } from '../../support/contract.ts';
import { silent, temporaryFolder } from '../../support/embedded.ts';
import { embeddedKeys } from '../../support/keys.ts';
import { embeddedPush } from '../../support/push.ts';

let deployment: Embedded;
let data: string;
let keys: KeyRingHarness & { close(): Promise<void> };
let push: PushHarness & { close(): void };

beforeAll(async () => {
  data = await temporaryFolder();
  deployment = await openEmbedded({
    data,
    log: silent,
    routes: [{ types: ['contract.tested.v1'], queue: 'job' }],
    environment: {},
  });
  keys = await embeddedKeys();
  push = await embeddedPush(deployment.sockets);
});

afterAll(async () => {
  push.close();
  await keys.close();
  await deployment.close();
  await rm(data, { recursive: true, force: true });
});

function both<Port>(name: string, promises: PortPromise<Port>[], port: (platform: Platform) => Port): void {
  describeContract(name, promises, () => port(deployment.platform));
  describeBroken(name, promises, () => port(deployment.platform));
}

both('self-hosted EventStore', eventPromises, (platform) => platform.events);
both('self-hosted Rows', rowPromises, (platform) => platform.rows);
both('self-hosted Records', recordPromises, (platform) => platform.records);
both('self-hosted Blobs', blobPromises, (platform) => platform.blobs);
both('self-hosted ChunkIndex', chunkPromises, (platform) => platform.chunks);
both('self-hosted Queue', queuePromises, (platform) => platform.queue);
both('self-hosted Bus', busPromises, (platform) => platform);
both('self-hosted Push', pushPromises, () => push);
both('self-hosted Identity', identityPromises, (platform) => platform.identity);
both('self-hosted KeyRing', keyRingPromises, () => keys);
both('self-hosted Secrets', secretPromises, (platform) => platform.secrets);
