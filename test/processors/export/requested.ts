/** Requests of exports, and workers whose slices end and that die. */
import { expect } from 'vitest';
import { load } from '../../../activity/store.ts';
import { findDownload } from '../../../api/current-state.ts';
import { requestExport } from '../../../commands/grant-download.ts';
import { type DownloadState, download } from '../../../domain/download.ts';
import { streamName } from '../../../domain/event.ts';
import type { Blobs, JsonObject, Platform } from '../../../domain/ports.ts';
import type { Deployment } from '../../../processors/deployment.ts';
import { maintain } from '../../../processors/maintain.ts';
import { free } from '../../../processors/meter.ts';
import { handleMessage } from '../../../processors/runner.ts';
import type { Slice } from '../../../tasks/run-task.ts';
import { readExport, sizeOfExport } from '../../../vault/exports.ts';
import { deriveVaultKeys } from '../../../vault/keys.ts';
import { type TestPlatform, testPlatform } from '../../support/api.ts';
import { makeBackupChain, type Things } from '../../support/backups.ts';
import { type Unzipped, unzip } from '../../support/unzip.ts';
import { gather } from '../../vault/vault-fixture.ts';

export const account = 'acc_ada';
export const endless = (): Slice => ({ deadline: Number.POSITIVE_INFINITY });
export const command = (commandId: string) =>
  ({ account, actor: { type: 'user', id: 'usr_ada' }, commandId, correlationId: 'req_1' }) as const;

export const deploymentOn = (platform: Platform, plainExports = false): Deployment => ({
  ...{ platform, plainExports },
  connectors: () => ({ allowHosts: [] }),
  prices: free,
});

/** A slice that is over when the step has asked `asks` times. */
export function sliceOf(asks: number): Slice {
  let left = asks;
  return {
    get deadline() {
      return left-- > 0 ? Number.POSITIVE_INFINITY : 0;
    },
  };
}

/** `isPlain`: exports are not encrypted, as on AWS. */
export type RequestOptions = { paths?: string[]; on?: TestPlatform; file?: { version: number }; isPlain?: boolean };

/** Makes a backup of `things` and requests an export of it. */
export async function requestOf(things: Things, { paths = [''], on, file, isPlain }: RequestOptions = {}) {
  const platform = on ?? (await testPlatform());
  const backupChain = makeBackupChain(platform, account);
  const { runId, manifest, at: backedUpAt } = await backupChain.backUp(things);
  const { sourceId, jobId } = backupChain;
  const request = { sourceId, jobId, runId, manifest, backedUpAt, paths, ...(file && { file }) };
  const { id } = await requestExport(platform, command(`export of ${runId}`), request);
  const stream = streamName(account, 'download', id);
  const event: JsonObject = { type: 'download.requested.v1', account, stream, version: 1, index: 0 };
  const blob = `exports/${account}/${id}`;

  /** Delivers the event, then messages until none is left. */
  async function prepare(slice = endless, by: Platform = platform): Promise<void> {
    await handleMessage(deploymentOn(by, isPlain), event, slice());
    for (;;) {
      const messages = await platform.queue.receive('data', { max: 10, visibilitySeconds: 60 });
      if (messages.length === 0) return;
      for (const { receipt } of messages) await platform.queue.ack('data', receipt);
      for (const { body } of messages) await handleMessage(deploymentOn(by, isPlain), body, slice());
    }
  }

  /** Tries again, each time after a minute, until the export has ended. */
  async function prepareInTime(by: Platform = platform): Promise<void> {
    await prepare(endless, by);
    while ((await state()).status === 'preparing') {
      platform.clock.now += 61_000;
      await tidy();
      await prepare(endless, by);
    }
  }

  const tidy = () => maintain(deploymentOn(platform, isPlain));

  async function content(): Promise<Buffer | undefined> {
    if (isPlain) return Buffer.from((await platform.blobs.get(blob)) ?? '');
    const key = deriveVaultKeys((await platform.keys.accountKey(account)) ?? new Uint8Array()).exports;
    const size = await sizeOfExport(platform.blobs, blob, true);
    if (size === undefined) return undefined;
    return gather(readExport(platform.blobs, { key, blob, size }, { offset: 0, length: size }));
  }

  const state = async (): Promise<DownloadState> => (await load(platform, download, stream)).state;
  return {
    ...{ platform, backupChain, request, id, blob, event, prepare, prepareInTime, maintain: tidy, content, state },
    status: () => findDownload(platform, account, id),
    zip: async (): Promise<Unzipped[]> => unzip((await content()) ?? Buffer.from('nothing')),
    left: async () => (await platform.blobs.list('exports/', { limit: 100 })).items.map(({ key }) => key),
  };
}

/** Overwrites all packs, so that no content can be read. */
export async function damage(platform: Platform): Promise<void> {
  const { items } = await platform.blobs.list(`packs/${account}/`, { limit: 1000 });
  expect(items.length).toBeGreaterThan(0);
  for (const { key, size } of items) await platform.blobs.put(key, new Uint8Array(size));
}

/** Counts the bytes that are read from packs. */
export function metered(platform: TestPlatform): { platform: Platform; bytes: () => number } {
  let bytes = 0;
  const get: Blobs['get'] = async (key, range) => {
    const found = await platform.blobs.get(key, range);
    if (key.startsWith('packs/')) bytes += found?.length ?? 0;
    return found;
  };
  return { platform: { ...platform, blobs: { ...platform.blobs, get } }, bytes: () => bytes };
}

/** A process that dies at its n-th write. Nothing of it works after that. */
export function mortal(platform: TestPlatform, writes: number): Platform {
  let left = writes;
  const dying =
    <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
    async (...args: A): Promise<R> => {
      if (left-- <= 0) throw new Error('killed');
      return call(...args);
    };
  const { blobs, records } = platform;
  return {
    ...platform,
    records: { ...records, write: dying(records.write) },
    blobs: {
      ...blobs,
      ...{ put: dying(blobs.put), putPart: dying(blobs.putPart), startUpload: dying(blobs.startUpload) },
      completeUpload: dying(blobs.completeUpload),
    },
  };
}
