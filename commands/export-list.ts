/**
 * The exports of an account, in one record. So an account has one export of the same content at a time, and no more
 * exports than its quota, however many requests come at once.
 */

import { Problem } from '../domain/errors.ts';
import type { JsonObject, Platform, RecordWrite } from '../domain/ports.ts';

/** `size`: bytes of content, null while it is being prepared. */
type Listed = { id: string; until: string; size: number | null };
type List = { rev: number; exports: { [content: string]: Listed } };

export const exportQuota = {
  /** Exports that are being prepared. */
  open: 10,
  /** Bytes of exports that are ready. The last one may exceed it. */
  readyBytes: 100 * 1024 ** 3,
  /** All exports. Keeps the record small. */
  all: 500,
};
/** A request joins an export that can be downloaded for at least this time (ms). */
const minRest = 60 * 60_000;
const maxTries = 100;

/**
 * Enters the export, unless one with equal content is listed. Returns the listed one. `isThere` says whether the blob
 * of a ready export still exists.
 * @throws Problem `rate-limited` when the account has reached its quota
 */
export async function listExport(
  platform: Pick<Platform, 'records' | 'now'>,
  account: string,
  content: string,
  own: { id: string; until: string },
  isThere: (id: string) => Promise<boolean>,
): Promise<{ id: string; until: string }> {
  return change(platform, account, async (exports) => {
    const same = exports[content];
    if (same) {
      const isUsable = same.id === own.id || Date.parse(same.until) - platform.now() >= minRest;
      if (isUsable && (same.size === null || (await isThere(same.id)))) return { result: same };
      delete exports[content];
    }
    checkQuota(Object.values(exports), platform.now());
    exports[content] = { ...own, size: null };
    return { result: own, exports };
  });
}

/** The export is ready with this size, or with null it is over. */
export async function settleExport(
  platform: Pick<Platform, 'records' | 'now'>,
  account: string,
  id: string,
  size: number | null,
): Promise<void> {
  await change(platform, account, async (exports) => {
    const [content, listed] = Object.entries(exports).find(([, one]) => one.id === id) ?? [];
    if (content === undefined || !listed) return { result: undefined };
    if (size === null) delete exports[content];
    else exports[content] = { ...listed, size };
    return { result: undefined, exports };
  });
}

function checkQuota(exports: Listed[], now: number): void {
  const ready = exports.filter(({ size }) => size !== null);
  const bytes = ready.reduce((sum, { size }) => sum + (size ?? 0), 0);
  if (exports.length - ready.length >= exportQuota.open)
    throw new Problem(
      'rate-limited',
      `${exportQuota.open} downloads of this account are being prepared. Request this one when one of them is ready.`,
      { extra: { retryAfter: 30 } },
    );
  if (bytes < exportQuota.readyBytes && exports.length < exportQuota.all) return;
  const next = Math.min(...exports.map(({ until }) => Date.parse(until)));
  throw new Problem(
    'rate-limited',
    'The prepared downloads of this account have reached their limit. Each is deleted within a day. Request this one ' +
      `after ${new Date(next).toISOString()}.`,
    { extra: { retryAfter: Math.max(1, Math.ceil((next - now) / 1000)) } },
  );
}

/** Changes the list, without exports that have expired. Repeats when another writer was faster. */
async function change<T>(
  { records, now }: Pick<Platform, 'records' | 'now'>,
  account: string,
  decide: (exports: List['exports']) => Promise<{ result: T; exports?: List['exports'] }>,
): Promise<T> {
  const key = { pk: 'exports-of', sk: account };
  for (let tries = 0; tries < maxTries; tries++) {
    const list = (await records.get(key))?.data as List | undefined;
    const current = Object.entries(list?.exports ?? {}).filter(([, { until }]) => Date.parse(until) > now());
    const { result, exports } = await decide(Object.fromEntries(current));
    if (!exports) return result;
    const data: JsonObject = { rev: (list?.rev ?? 0) + 1, exports };
    const isWritten = await records.write([
      { op: 'put', ...key, data, if: list ? { equals: { rev: list.rev } } : 'absent' },
    ]);
    if (isWritten) return result;
  }
  throw new Problem('unavailable', 'Too many downloads were requested at once. Request this one again in a moment.');
}

const progressKey = (blob: string) => ({ pk: 'export-progress', sk: blob });

/** Saves how much of an export is done, from 0 to 1. */
export function progressWrite(blob: string, done: number, now: number): RecordWrite {
  const expiresAt = Math.ceil(now / 1000) + 24 * 3600;
  return { op: 'put', ...progressKey(blob), data: { done: Math.min(done, 1) }, expiresAt };
}

/** How much of an export is done, from 0 to 1. */
export async function progressOf({ records }: Pick<Platform, 'records'>, blob: string): Promise<number> {
  return Number((await records.get(progressKey(blob)))?.data.done ?? 0);
}
