/** Embedded homes for tests, each in a folder of its own that goes with the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Log } from '../../domain/ports.ts';
import { type Embedded, type EmbeddedOptions, openEmbedded } from '../../infra/embedded/platform.ts';

export const silent: Log = { info() {}, warn() {}, error() {}, measure() {} };

export async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'listbackup-'));
}

/** A folder that is removed when the running test is done. */
export async function testFolder(): Promise<string> {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** An embedded home that is closed when the running test is done, in `data` or a folder of its own. */
export async function openTestPlatform(options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const data = options.data ?? (await testFolder());
  const deployment = await openEmbedded({ log: silent, routes: [], environment: {}, ...options, data });
  onTestFinished(() => deployment.close());
  return deployment;
}
