/** The embedded home keeps every port's promises, and no check passes when its promise is broken. */
import { rm } from 'node:fs/promises';
import { afterAll, beforeAll } from 'vitest';
import type { Machine } from '../../../domain/ports.ts';
import { blobPromises } from '../../../infra/contract/blobs.ts';
import { busPromises } from '../../../infra/contract/bus.ts';
import { eventPromises } from '../../../infra/contract/events.ts';
import { identityPromises } from '../../../infra/contract/identity.ts';
import { keyRingPromises } from '../../../infra/contract/key-ring.ts';
import type { PortPromise } from '../../../infra/contract/promise.ts';
import { type PushHarness, pushPromises } from '../../../infra/contract/push.ts';
import { queuePromises } from '../../../infra/contract/queue.ts';
import { recordPromises } from '../../../infra/contract/records.ts';
import { rowPromises } from '../../../infra/contract/rows.ts';
import { secretPromises } from '../../../infra/contract/secrets.ts';
import { type Embedded, openEmbedded } from '../../../infra/embedded/machine.ts';
import { describeBroken, describeContract } from '../../support/contract.ts';
import { silent, temporaryFolder } from '../../support/embedded.ts';
import { embeddedPush } from '../../support/push.ts';

let home: Embedded;
let data: string;
let push: PushHarness & { close(): void };

beforeAll(async () => {
  data = await temporaryFolder();
  home = await openEmbedded({ data, log: silent, routes: [{ types: ['contract.tested.v1'], queue: 'job' }], environment: {} });
  push = await embeddedPush(home.sockets);
});

afterAll(async () => {
  push.close();
  await home.close();
  await rm(data, { recursive: true, force: true });
});

function both<Port>(name: string, promises: PortPromise<Port>[], port: (machine: Machine) => Port): void {
  describeContract(name, promises, () => port(home.machine));
  describeBroken(name, promises, () => port(home.machine));
}

both('embedded EventStore', eventPromises, (machine) => machine.events);
both('embedded Rows', rowPromises, (machine) => machine.rows);
both('embedded Records', recordPromises, (machine) => machine.records);
both('embedded Blobs', blobPromises, (machine) => machine.blobs);
both('embedded Queue', queuePromises, (machine) => machine.queue);
both('embedded Bus', busPromises, (machine) => machine);
both('embedded Push', pushPromises, () => push);
both('embedded Identity', identityPromises, (machine) => machine.identity);
both('embedded KeyRing', keyRingPromises, (machine) => machine.keys);
both('embedded Secrets', secretPromises, (machine) => machine.secrets);
