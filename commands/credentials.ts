/** A source's credentials: sealed under the source's own key, in working state, never in an event, row, log line or answer. */
import { decrypt, encrypt } from '../activity/personal-data.ts';
import { isEncrypted } from '../domain/event.ts';
import type { JsonObject, Platform } from '../domain/ports.ts';

const credentialsKey = (account: string, sourceId: string) => ({ pk: `credentials#${account}`, sk: sourceId });

/** `version`: that of the source which they belong to. Those of a later one stay, whoever comes last. */
export async function putCredentials(
  platform: Platform,
  account: string,
  sourceId: string,
  credentials: JsonObject,
  version: number,
): Promise<void> {
  const key = credentialsKey(account, sourceId);
  const data = { encrypted: await encrypt(platform, account, sourceId, credentials), version };
  for (;;) {
    const before = (await platform.records.get(key))?.data;
    if (before && Number(before.version ?? 0) > version) return;
    const same = before ? { equals: { encrypted: before.encrypted ?? null } } : 'absent';
    if (await platform.records.write([{ op: 'put', ...key, data, if: same }])) return;
  }
}

/** null when the source needs none or they are gone. */
export async function getCredentials(
  platform: Platform,
  account: string,
  sourceId: string,
): Promise<JsonObject | null> {
  const record = await platform.records.get(credentialsKey(account, sourceId));
  const encrypted = record?.data.encrypted;
  return isEncrypted(encrypted) ? decrypt<JsonObject>(platform, account, encrypted) : null;
}

export async function dropCredentials(platform: Platform, account: string, sourceId: string): Promise<void> {
  await platform.records.write([{ op: 'delete', ...credentialsKey(account, sourceId) }]);
}
