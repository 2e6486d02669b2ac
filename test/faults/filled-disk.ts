/**
 * A disk that is full when the test says so, under a home in this process: blobs break off half-written, and SQLite may have no further page
 * (both anywhere), or a file system of its own that is filled to the last byte (where one may be mounted).
 */
import { execFileSync } from 'node:child_process';
import { mkdir, open, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expect, onTestFinished, vi } from 'vitest';
import type { Platform } from '../../domain/ports.ts';

export type Disk = {
  fill(): Promise<void>;
  free(): Promise<void>;
  /** To be put around the home's machine. */
  watch(platform: Platform): Platform;
};

/** As a write that finds no room is told of. */
function noSpace(): NodeJS.ErrnoException {
  return Object.assign(new Error('ENOSPC: no space left on device, write'), {
    code: 'ENOSPC',
    errno: -28,
    syscall: 'write',
  });
}

/** Where the blobs are is full: each breaks off in the middle. */
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

/** The file of the database can have no page more. To be made before the home is. */
export function databaseDisk(): Disk {
  const connections = new Set<DatabaseSync>();
  const { exec } = DatabaseSync.prototype;
  const spy = vi.spyOn(DatabaseSync.prototype, 'exec').mockImplementation(function (this: DatabaseSync, sql) {
    connections.add(this);
    exec.call(this, sql);
  });
  onTestFinished(() => spy.mockRestore());
  const each = (sql: string) => {
    for (const one of connections) if (one.isOpen) exec.call(one, sql);
  };
  return {
    async fill() {
      each('CREATE TABLE of_somebody_else (bytes BLOB)');
      // There may be room on pages that are there.
      for (const table of tables)
        each(
          `CREATE TRIGGER more_${table} BEFORE INSERT ON ${table} BEGIN INSERT INTO of_somebody_else VALUES (zeroblob(9000)); END`,
        );
      each('PRAGMA max_page_count = 1');
      expect(() => {
        for (;;) each('INSERT INTO of_somebody_else VALUES (zeroblob(4000))');
      }).toThrow('database or disk is full');
    },
    async free() {
      each('PRAGMA max_page_count = 0xfffffffe');
      for (const table of tables) each(`DROP TRIGGER more_${table}`);
      each('DROP TABLE of_somebody_else');
    },
    watch: (platform) => platform,
  };
}

/** A file system in memory, mounted at `place` until the test is done, that other files fill; undefined where none may be mounted. */
export async function mountedDisk(folder: string, mebibytes: number): Promise<Disk | undefined> {
  const run = (command: string, ...args: string[]) => execFileSync(command, args, { stdio: 'ignore' });
  await mkdir(folder, { recursive: true });
  try {
    run('mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', folder);
  } catch {
    return undefined;
  }
  onTestFinished(() => void run('umount', '-l', folder));
  const filler = join(folder, 'of somebody else');
  return {
    async fill() {
      const file = await open(filler, 'w');
      const [large, small] = [Buffer.alloc(64 * 1024), Buffer.alloc(1)];
      for (const piece of [large, small]) {
        for (let there = true; there; )
          there = await file.write(piece).then(
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
