/** Self-hosted platforms for tests, each in a folder that is removed with the test. */
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

/** A folder that is removed when the test ends. */
export async function testFolder(): Promise<string> {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** A self-hosted platform that closes when the test ends, in `data` or a folder of its own. */
export async function openTestPlatform(options: Partial<EmbeddedOptions> = {}): Promise<Embedded> {
  const data = options.data ?? (await testFolder());
  const deployment = await openEmbedded({ log: silent, routes: [], environment: {}, ...options, data });
  onTestFinished(() => deployment.close());
  return deployment;
}
