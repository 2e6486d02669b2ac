/** The `Blobs` port on files under a root folder. */
import { randomBytes } from 'node:crypto';
import { open, readdir, rename, rm, stat, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { LRUCache } from 'lru-cache';
import type { Blobs } from '../../domain/ports.ts';
import { checkBlobKey, LimitExceeded, maxQueryLimit } from '../limits.ts';
import { blobPath, keyPiece } from './blob-path.ts';
import { codeOf, makeDirectory, syncDirectory, writeDurably } from './durable-file.ts';
import { asStorageFull } from './full-disk.ts';

/** Returns the folder of the blobs inside a data folder. */
export function blobFolder(data: string): string {
  return join(data, 'blobs');
}

/** Listings that go on without reading their folders again, each for this time after its last page (ms). */
const openListings = { max: 16, ttl: 60_000 };

const unfinished = '.unfinished';
/** The folder of uploads in parts. They outlive the process. */
const unpublished = '.uploads';
/** Nothing goes on with an upload after this time (ms). */
const uploadLifetime = 48 * 3_600_000;

/** Returns the folder of files that are not complete, inside the folder of the blobs. */
export function temporaryFolder(root: string): string {
  return join(root, unfinished);
}

/** Returns whether the root holds any blob. */
export async function holdsBlobs(root: string): Promise<boolean> {
  return (await absentIs([], () => readdir(root))).some((name) => name !== unfinished && name !== unpublished);
}

/**
 * Opens the root. Creates it if it is missing and removes files that a crash left half-written.
 * Only one process may have a root open.
 */
export async function openBlobs(root: string): Promise<Blobs> {
  const temporary = temporaryFolder(root);
  await rm(temporary, { recursive: true, force: true });
  await makeDirectory(temporary);
  await removeOldUploads(join(root, unpublished));
  return fileBlobs(root, temporary);
}

async function removeOldUploads(folder: string): Promise<void> {
  for (const name of await absentIs([], () => readdir(folder))) {
    const path = join(folder, name);
    if (Date.now() - (await stat(path)).mtimeMs > uploadLifetime) await unlink(path);
  }
}

/** Opens a root without changing it. `put` creates folders when it needs them. */
export function fileBlobs(root: string, temporary: string): Blobs {
  const pathOf = (key: string) => {
    checkBlobKey(key);
    return join(root, blobPath(key));
  };

  const uploads = join(root, unpublished);
  const uploadPath = (upload: string) => {
    if (!/^[0-9a-f]{24}-\d+$/.test(upload)) throw new Error('This is not the id of an upload. Start another upload.');
    return join(uploads, upload);
  };

  type Listing = { files: ReturnType<typeof walk>; ahead: Found };
  /** Listings by prefix and cursor. Without them each page would read and sort a folder of all packs again. */
  const listings = new LRUCache<string, Listing>(openListings);

  return {
    async put(key, body, { ifAbsent = false } = {}) {
      const path = pathOf(key);
      try {
        return (await writeDurably(path, body, { temporary, ifAbsent })) ? 'stored' : 'exists';
      } catch (error) {
        throw asStorageFull(error);
      }
    },

    async get(key, range) {
      const handle = await absentIs(undefined, () => open(pathOf(key), 'r'));
      if (!handle) return undefined;
      try {
        const { size } = await handle.stat();
        const offset = Math.min(range?.offset ?? 0, size);
        const bytes = new Uint8Array(Math.min(range?.length ?? size, size - offset));
        let read = 0;
        while (read < bytes.length) {
          const { bytesRead } = await handle.read(bytes, read, bytes.length - read, offset + read);
          if (bytesRead === 0) throw new Error(`The file of blob ${key} shrank while it was read.`);
          read += bytesRead;
        }
        return bytes;
      } finally {
        await handle.close();
      }
    },

    async size(key) {
      return absentIs(undefined, async () => (await stat(pathOf(key))).size);
    },

    async list(prefix, { limit, cursor }) {
      if (!Number.isInteger(limit) || limit < 1 || limit > maxQueryLimit)
        throw new LimitExceeded(`a list limit must be 1 to ${maxQueryLimit}, not ${limit}`);
      const after = cursor === undefined ? undefined : Buffer.from(cursor, 'base64url');
      const name = `${cursor} ${prefix}`;
      const listing = after && listings.get(name);
      listings.delete(name);
      const files = listing?.files ?? walk(root, new Uint8Array(), { prefix: Buffer.from(prefix), after });
      const items: { key: string; size: number }[] = [];
      let found = listing?.ahead ?? (await files.next()).value;
      for (; found && items.length < limit; found = (await files.next()).value) {
        const { key, path } = found;
        const size = await absentIs(undefined, async () => (await stat(path)).size);
        if (size !== undefined) items.push({ key: Buffer.from(key).toString(), size });
      }
      if (!found) return { items, next: null };
      const next = Buffer.from(items.at(-1)?.key ?? '').toString('base64url');
      listings.set(`${next} ${prefix}`, { files, ahead: found });
      return { items, next };
    },

    async delete(keys) {
      const directories = new Set<string>();
      for (const key of keys) {
        const path = pathOf(key);
        if (await absentIs(false, () => unlink(path).then(() => true))) directories.add(dirname(path));
      }
      for (const directory of directories) await syncDirectory(directory);
    },

    async startUpload(key, partBytes) {
      checkBlobKey(key);
      const upload = `${randomBytes(12).toString('hex')}-${partBytes}`;
      try {
        await makeDirectory(uploads);
        await (await open(join(uploads, upload), 'wx', 0o600)).close();
        await syncDirectory(uploads);
      } catch (error) {
        throw asStorageFull(error);
      }
      return upload;
    },

    async putPart(_key, upload, part, bytes) {
      const handle = await open(uploadPath(upload), 'r+');
      try {
        const start = (part - 1) * Number(upload.split('-')[1]);
        for (let at = 0; at < bytes.length; )
          at += (await handle.write(bytes, at, bytes.length - at, start + at)).bytesWritten;
        await handle.datasync();
      } catch (error) {
        throw asStorageFull(error);
      } finally {
        await handle.close();
      }
    },

    async completeUpload(key, upload) {
      const path = pathOf(key);
      await makeDirectory(dirname(path));
      try {
        await rename(uploadPath(upload), path);
      } catch (error) {
        // An earlier call may have completed the upload.
        if (codeOf(error) !== 'ENOENT' || (await absentIs(undefined, () => stat(path))) === undefined) throw error;
      }
      await syncDirectory(dirname(path));
    },

    async abortUpload(_key, upload) {
      await absentIs(undefined, () => unlink(uploadPath(upload)));
    },
  };
}

type Found = { key: Uint8Array; path: string };
type Filter = { prefix: Uint8Array; after: Uint8Array | undefined };

/** Yields files below a directory in byte order of their keys. Skips directories that cannot hold a match. */
async function* walk(directory: string, above: Uint8Array, filter: Filter): AsyncGenerator<Found, undefined> {
  const entries = await absentIs([], () => readdir(directory, { withFileTypes: true }));
  // Latin-1 has one character for each byte, and strings sort much faster than buffers.
  const known = entries.flatMap((entry) => {
    const kind = entry.isDirectory() ? 'directory' : 'file';
    const piece = keyPiece(entry.name, kind);
    return piece ? [{ kind, piece: Buffer.from(piece).toString('latin1'), name: entry.name }] : [];
  });
  for (const { kind, piece, name } of known.sort((a, b) => (a.piece < b.piece ? -1 : 1))) {
    const key = Buffer.concat([above, Buffer.from(piece, 'latin1')]);
    const path = join(directory, name);
    if (kind === 'directory') {
      if (mayHold(key, filter)) yield* walk(path, key, filter);
    } else if (startsWith(key, filter.prefix) && (!filter.after || Buffer.compare(key, filter.after) > 0)) {
      yield { key, path };
    }
  }
}

/** Returns whether a key that begins with `start` can have the prefix and sort after `after`. */
function mayHold(start: Uint8Array, { prefix, after }: Filter): boolean {
  if (!startsWith(start, prefix) && !startsWith(prefix, start)) return false;
  return !after || startsWith(after, start) || Buffer.compare(start, after) > 0;
}

function startsWith(bytes: Uint8Array, start: Uint8Array): boolean {
  return bytes.length >= start.length && Buffer.compare(bytes.subarray(0, start.length), start) === 0;
}

async function absentIs<T, A>(absent: A, work: () => Promise<T>): Promise<T | A> {
  try {
    return await work();
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return absent;
    throw error;
  }
}
