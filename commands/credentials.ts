/** A source's credentials: sealed under the source's own key, in working state, never in an event, row, log line or answer. */
import { seal, unseal } from '../activity/seal.ts';
import { isSealed } from '../domain/event.ts';
import type { JsonObject, Machine } from '../domain/ports.ts';

const place = (account: string, sourceId: string) => ({ pk: `credentials#${account}`, sk: sourceId });

/** `version`: that of the source which they belong to. Those of a later one stay, whoever comes last. */
export async function putCredentials(
  machine: Machine,
  account: string,
  sourceId: string,
  credentials: JsonObject,
  version: number,
): Promise<void> {
  const key = place(account, sourceId);
  const data = { sealed: await seal(machine, account, sourceId, credentials), version };
  for (;;) {
    const before = (await machine.records.get(key))?.data;
    if (before && Number(before.version ?? 0) > version) return;
    const same = before ? { equals: { sealed: before.sealed ?? null } } : 'absent';
    if (await machine.records.write([{ op: 'put', ...key, data, if: same }])) return;
  }
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
