/** Self-hosted platforms for tests, each in a folder that is removed with the test. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { JsonObject, KeyRing, Log } from '../../domain/ports.ts';
import { type Embedded, type EmbeddedOptions, openEmbedded } from '../../infra/embedded/platform.ts';

export const silent: Log = { info() {}, warn() {}, error() {}, measure() {} };

export type LogLine = {
  level: 'info' | 'warn' | 'error';
  message: string;
  fields: JsonObject | undefined;
  error: unknown;
};

/** A log that keeps its lines. */
export function recordingLog(): { log: Log; lines: LogLine[] } {
  const lines: LogLine[] = [];
  const line =
    (level: LogLine['level']): Log['info'] & Log['error'] =>
    (message, fields, error?) => {
      lines.push({ level, message, fields, error });
    };
  return { lines, log: { info: line('info'), warn: line('warn'), error: line('error'), measure() {} } };
}

export async function temporaryFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'listbackup-'));
}

/** A folder that is removed when the test ends. */
export async function testFolder(): Promise<string> {
  const folder = await temporaryFolder();
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Creates keys at first use, because most tests register no account and connect no source. */
export function creatingKeys(keys: KeyRing): KeyRing {
  const created = new Map<string, Promise<void>>();
  const once = (name: string, create: () => Promise<void>) => {
    const known = created.get(name) ?? create();
    created.set(name, known);
    known.catch(() => created.delete(name));
    return known;
  };
  const createAccount = (account: string) => once(account, () => keys.createAccount(account));
  const createSubject = async (account: string, subject: string) => {
    await createAccount(account);
    await once(`${account} ${subject}`, () => keys.createSubject(account, subject));
  };
  return {
    ...keys,
    createSubject,
    async accountKey(account) {
      await createAccount(account);
      return keys.accountKey(account);
    },
    async subjectKey(account, subject) {
      await createSubject(account, subject);
      return keys.subjectKey(account, subject);
    },
  };
}

/**
 * A self-hosted platform that closes when the test ends, in `data` or a folder of its own. It creates keys at first
 * use, unless `strictKeys` is set.
 */
export async function openTestPlatform({
  strictKeys = false,
  ...options
}: Partial<EmbeddedOptions> & { strictKeys?: boolean } = {}): Promise<Embedded> {
  const data = options.data ?? (await testFolder());
  const deployment = await openEmbedded({ log: silent, routes: [], environment: {}, ...options, data });
  onTestFinished(() => deployment.close());
  if (!strictKeys) deployment.platform.keys = creatingKeys(deployment.platform.keys);
  return deployment;
}
