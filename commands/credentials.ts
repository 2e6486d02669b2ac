/** A source's credentials: sealed under the source's own key, in working state, never in an event, row, log line or answer. */
import { seal, unseal } from '../activity/seal.ts';
import { isSealed } from '../domain/event.ts';
import type { JsonObject, Machine } from '../domain/ports.ts';

const place = (account: string, sourceId: string) => ({ pk: `credentials#${account}`, sk: sourceId });

export async function putCredentials(machine: Machine, account: string, sourceId: string, credentials: JsonObject): Promise<void> {
  const sealed = await seal(machine, account, sourceId, credentials);
  await machine.records.write([{ op: 'put', ...place(account, sourceId), data: { sealed } }]);
}

/** null when the source needs none or they are gone. */
export async function getCredentials(machine: Machine, account: string, sourceId: string): Promise<JsonObject | null> {
  const record = await machine.records.get(place(account, sourceId));
  const sealed = record?.data.sealed;
  return isSealed(sealed) ? unseal<JsonObject>(machine, account, sealed) : null;
}

export async function dropCredentials(machine: Machine, account: string, sourceId: string): Promise<void> {
  await machine.records.write([{ op: 'delete', ...place(account, sourceId) }]);
}
