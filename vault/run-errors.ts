/** The errors of a run, when there are too many for an event. Each page is an encrypted blob. */
import type { Blobs } from '../domain/ports.ts';
import type { RunError } from '../domain/run.ts';
import { decryptBytes, encryptBytes } from './encrypted-bytes.ts';
import type { VaultKeys } from './keys.ts';

export const errorsPerPage = 1000;

type Context = { account: string; keys: VaultKeys; blobs: Blobs };

const name = ({ account }: Context, runId: string, page: number) => `errors/${account}/${runId}/${page}`;

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
