/**
 * Simulates a full disk under a server in this process. `blobsDisk` breaks blobs off half-written and `databaseDisk`
 * denies SQLite more pages. Both work anywhere. `mountedDisk` fills a file system of its own and needs to mount it.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, vi } from 'vitest';
import type { Platform } from '../../domain/ports.ts';
import { databaseFile } from '../../infra/embedded/database.ts';

export type Disk = {
  /** Whether `watch` wraps the blobs. */
  isOfBlobs?: boolean;
  fill(): Promise<void>;
  free(): Promise<void>;
  /** Wraps the server's platform. */
  watch(platform: Platform): Platform;
};

/** The error of Node for a write without space. */
function noSpace(): NodeJS.ErrnoException {
  return Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
    errno: -28,
    syscall: 'write',
  });
}

/** The disk of the blobs: while it is full, each put breaks off in the middle. */
export function blobsDisk(): Disk {
  let full = false;
  async function* half(body: Uint8Array | AsyncIterable<Uint8Array>) {
    if (body instanceof Uint8Array) yield body.subarray(0, body.length / 2);
    else
      for await (const piece of body) {
        yield piece;
        break;
      }
    throw noSpace();
  }
  return {
    isOfBlobs: true,
    async fill() {
      full = true;
    },
    async free() {
      full = false;
    },
    watch: (platform) => ({
      ...platform,
      blobs: {
        ...platform.blobs,
        put: (key, body, options) => platform.blobs.put(key, full ? half(body) : body, options),
      },
    }),
  };
}

const tables = ['commits', 'rows', 'records', 'messages', 'feeds'];

/** The disk of the database: while it is full, SQLite gets no new page. Call it before the server starts. */
export function databaseDisk(): Disk {
  const connections = new Set<DatabaseSync>();
  const { exec } = DatabaseSync.prototype;
  const spy = vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (this: DatabaseSync, sql) {
    connections.add(this);
    exec.call(this, sql);
  });
  onTestFinished(() => spy.mockRestore());
  const each = (sql: string) => {
    for (const one of connections) if (one.isOpen && one.location()?.endsWith(databaseFile)) exec.call(one, sql);
  };
  return {
    async fill() {
      each('CREATE TABLE filler (bytes BLOB)');
      // Existing pages may have room left, so that each insert needs a new page too.
      for (const table of tables)
        each(
          `CREATE TRIGGER more_${table} BEFORE INSERT ON ${table} BEGIN INSERT INTO filler VALUES (zeroblob(9000)); END`,
        );
      each('PRAGMA max_page_count = 1');
      expect(() => {
        for (;;) each('INSERT INTO filler VALUES (zeroblob(4000))');
      }).toThrow('database or disk is full');
    },
    async free() {
      each('PRAGMA max_page_count = 0xfffffffe');
      for (const table of tables) each(`DROP TRIGGER more_${table}`);
      each('DROP TABLE filler');
    },
    watch: (platform) => platform,
  };
}

/** An in-memory file system at `folder` until the test ends. Undefined if mounting is not allowed. */
export async function mountedDisk(folder: string, mebibytes: number): Promise<Disk | undefined> {
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: 'ignore' });
  await mkdir(folder, { recursive: true });
  try {
    run('mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder);
  } catch {
    return undefined;
  }
  onTestFinished(() => void run('umount', '-l', folder));
  const filler = join(folder, 'filler');
  return {
    async fill() {
      const file = await open(filler, 'w');
      const [large, small] = [Buffer.alloc(64 * 1024), Buffer.alloc(1)];
      for (const piece of [large, small]) {
        for (let hasSpace = true; hasSpace; )
          hasSpace = await file.write(piece).then(
            () => true,
            () => false,
          );
      }
      await file.close();
    },
    free: () => rm(filler),
    watch: (platform) => platform,
  };
}
