/** Blobs under a common key prefix, so that several deployments can share one bucket. */
import type { Blobs } from '../domain/ports.ts';

/** `prefix` is empty or ends in `/`. */
export function prefixed(blobs: Blobs, prefix: string): Blobs {
  if (prefix === '') return blobs;
  return {
    put: (key, body, options) => blobs.put(prefix + key, body, options),
    get: (key, range) => blobs.get(prefix + key, range),
    size: (key) => blobs.size(prefix + key),
    async list(start, options) {
      const { items, next } = await blobs.list(prefix + start, options);
      return { items: items.map(({ key, size }) => ({ key: key.slice(prefix.length), size })), next };
    },
    delete: (keys) => blobs.delete(keys.map((key) => prefix + key)),
    startUpload: (key, partBytes) => blobs.startUpload(`${prefix}${key}`, partBytes),
    putPart: (key, ...part) => blobs.putPart(`${prefix}${key}`, ...part),
    completeUpload: (key, ...parts) => blobs.completeUpload(`${prefix}${key}`, ...parts),
    abortUpload: (key, upload) => blobs.abortUpload(`${prefix}${key}`, upload),
  };
}
