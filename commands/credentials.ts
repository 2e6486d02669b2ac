/**
 * Credentials of a source: encrypted under the key of the source, in Records. No event, row, log line or answer has
 * them.
 */
import { decrypt, encrypt } from '../activity/personal-data.ts';
import { isEncrypted } from '../domain/event.ts';
import type { JsonObject, Platform } from '../domain/ports.ts';

const credentialsKey = (account: string, sourceId: string) => ({ pk: `credentials#${account}`, sk: sourceId });

/**
 * `version`: the version of the source's stream that they belong to. Does not overwrite credentials of a later version.
 */
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
    const unchanged = before ? { equals: { encrypted: before.encrypted ?? null } } : 'absent';
    if (await platform.records.write([{ op: 'put', ...key, data, if: unchanged }])) return;
  }
}

/** Null if the source has no credentials or its key is destroyed. */
export async function getCredentials(
  platform: Platform,
  account: string,
  sourceId: string,
): Promise<JsonObject | null> {
  const record = await platform.records.get(credentialsKey(account, sourceId));
  const encrypted = record?.data.encrypted;
  return isEncrypted(encrypted) ? decrypt<JsonObject>(platform, account, encrypted) : null;
}

/** Idempotent. */
export async function dropCredentials(platform: Platform, account: string, sourceId: string): Promise<void> {
  await platform.records.write([{ op: 'delete', ...credentialsKey(account, sourceId) }]);
}
