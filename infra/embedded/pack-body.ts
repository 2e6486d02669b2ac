/** Writes a pack to a temporary file as it grows, so that it takes no memory. For worker threads: appends block. */
import { randomBytes } from 'node:crypto';
import { closeSync, fsync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { PackBody } from '../../vault/packer.ts';
import { blobPath } from './blob-path.ts';
import { moveDurably } from './durable-file.ts';
import { asStorageFull } from './full-disk.ts';

const sync = promisify(fsync);

/** `root`: the folder of the blobs. `temporary`: a folder on the same file system. */
export function fileBody(root: string, temporary: string): PackBody {
  const path = join(temporary, `${randomBytes(12).toString('hex')}.tmp`);
  let fd: number | undefined;
  /** Small parts are collected, because a write for each costs more. */
  const waiting = Buffer.allocUnsafeSlow(64 * 1024);
  let length = 0;

  function write(bytes: Uint8Array): void {
    try {
      fd ??= openSync(path, 'wx', 0o600);
      for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at, bytes.length - at);
    } catch (error) {
      throw asStorageFull(error);
    }
  }

  function flush(): void {
    if (length > 0) write(waiting.subarray(0, length));
    length = 0;
  }

  function close(): void {
    const closing = fd;
    // Linux releases the number even if closing fails, and another file may then have it.
    fd = undefined;
    if (closing !== undefined) closeSync(closing);
  }

  return {
    append(bytes) {
      if (length + bytes.length > waiting.length) flush();
      if (bytes.length > waiting.length) return write(bytes);
      waiting.set(bytes, length);
      length += bytes.length;
    },
    async store(key) {
      try {
        flush();
        if (fd === undefined) throw new Error('the pack is empty');
        await sync(fd);
        close();
        await moveDurably(path, join(root, blobPath(key)));
      } catch (error) {
        throw asStorageFull(error);
      }
    },
    drop() {
      close();
      rmSync(path, { force: true });
    },
  };
}
