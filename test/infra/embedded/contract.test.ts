/** The embedded home keeps every port's promises, and no check passes when its promise is broken. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll } from 'vitest';
import type { Platform } from '../../../domain/ports.ts';
import { type Embedded, openEmbedded } from '../../../infra/embedded/platform.ts';
import { blobPromises } from '../../contract/blobs.ts';
import { busPromises } from '../../contract/bus.ts';
import { eventPromises } from '../../contract/events.ts';
import { identityPromises } from '../../contract/identity.ts';
import { keyRingPromises } from '../../contract/key-ring.ts';
import type { PortPromise } from '../../contract/promise.ts';
import { type PushHarness, pushPromises } from '../../contract/push.ts';
import { queuePromises } from '../../contract/queue.ts';
import { recordPromises } from '../../contract/records.ts';
import { rowPromises } from '../../contract/rows.ts';
import { secretPromises } from '../../contract/secrets.ts';
import { describeBroken, describeContract } from '../../support/contract.ts';
import { silent, temporaryFolder } from '../../support/embedded.ts';
import { embeddedPush } from '../../support/push.ts';

let deployment: Embedded;
let data: string;
let push: PushHarness & { close(): void };

beforeAll(async () => {
  data = await temporaryFolder();
  deployment = await openEmbedded({
    data,
    log: silent,
    routes: [{ types: ['contract.tested.v1'], queue: 'job' }],
    environment: {},
  });
  push = await embeddedPush(deployment.sockets);
});

afterAll(async () => {
  push.close();
  await deployment.close();
  await rm(data, { recursive: true, force: true });
});

function both<Port>(name: string, promises: PortPromise<Port>[], port: (platform: Platform) => Port): void {
  describeContract(name, promises, () => port(deployment.platform));
  describeBroken(name, promises, () => port(deployment.platform));
}

both('embedded EventStore', eventPromises, (platform) => platform.events);
both('embedded Rows', rowPromises, (platform) => platform.rows);
both('embedded Records', recordPromises, (platform) => platform.records);
both('embedded Blobs', blobPromises, (platform) => platform.blobs);
both('embedded Queue', queuePromises, (platform) => platform.queue);
both('embedded Bus', busPromises, (platform) => platform);
both('embedded Push', pushPromises, () => push);
both('embedded Identity', identityPromises, (platform) => platform.identity);
both('embedded KeyRing', keyRingPromises, (platform) => platform.keys);
both('embedded Secrets', secretPromises, (platform) => platform.secrets);
