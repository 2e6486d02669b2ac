/** The errors of a run, when there are too many for an event, and its failed entries. Both are encrypted blobs. */
import type { Blobs } from '../domain/ports.ts';
import type { RunError } from '../domain/run.ts';
import { decryptBytes, encryptBytes } from './encrypted-bytes.ts';
import type { VaultKeys } from './keys.ts';

export const errorsPerPage = 1000;

type Context = { account: string; keys: VaultKeys; blobs: Blobs };

const name = ({ account }: Context, runId: string, page: number | 'failed') => `errors/${account}/${runId}/${page}`;

/** Idempotent: equal errors give an equal blob. */
export async function putErrors(context: Context, runId: string, page: number, errors: RunError[]): Promise<void> {
  const key = name(context, runId, page);
  await context.blobs.put(key, encryptBytes(context.keys, key, Buffer.from(JSON.stringify(errors))));
}

/** Page 0, 1, … of a run's errors. Empty after the last page. @throws VaultDamage when the page was altered */
export async function getErrors(context: Context, runId: string, page: number): Promise<RunError[]> {
  const key = name(context, runId, page);
  const bytes = await context.blobs.get(key);
  return bytes ? JSON.parse(Buffer.from(decryptBytes(context.keys, key, bytes)).toString('utf8')) : [];
}

/**
 * What a retry of the run looks up: failed and vanished entries by key. Null when they cannot be looked up one by one.
 * `settings`: a hash of the settings of the source that the run listed.
 */
export type FailedEntries = { settings: string; entries: { key: string; id?: string }[] | null };

/** Idempotent. */
export async function putFailed(context: Context, runId: string, failed: FailedEntries): Promise<void> {
  const key = name(context, runId, 'failed');
  await context.blobs.put(key, encryptBytes(context.keys, key, Buffer.from(JSON.stringify(failed))));
}

/** Undefined when no entry of the run failed. @throws VaultDamage when it was altered */
export async function getFailed(context: Context, runId: string): Promise<FailedEntries | undefined> {
  const key = name(context, runId, 'failed');
  const bytes = await context.blobs.get(key);
  return bytes ? JSON.parse(Buffer.from(decryptBytes(context.keys, key, bytes)).toString('utf8')) : undefined;
}
