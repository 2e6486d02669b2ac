/** Reads one file, all of it from one revision. */
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { SourceEntry } from '../domain/entry.ts';
import type { ByteRange } from '../domain/ports.ts';
import { SourceProblem } from './connector.ts';
import { type Directory, nameOf, OwnData, openBelow, openFile, systemCode, throwIfExhausted } from './folder-tree.ts';
import { revisionOf } from './folder-walk.ts';

const chunkBytes = 1024 * 1024;

/** Keeps the last parent folder open: files are read in key order, so most have the parent of the file before. */
export function parentsBelow(root: Directory, never: ReadonlySet<string>) {
  type Held = { key: string; directory: Promise<Directory>; users: number };
  let current: Held | undefined;

  async function release(held: Held): Promise<void> {
    if (held === current || held.users > 0) return;
    const directory = await held.directory.catch(() => undefined);
    if (directory !== root) await directory?.close();
  }
  async function forget(): Promise<void> {
    const held = current;
    current = undefined;
    if (held !== undefined) await release(held);
  }
  async function within<T>(key: string, use: (parent: Directory) => Promise<T>): Promise<T> {
    const before = current;
    const held = before?.key === key ? before : { key, directory: openBelow(root, key, never), users: 0 };
    current = held;
    held.users++;
    try {
      return await use(await held.directory);
    } finally {
      held.users--;
      await release(held);
      if (before !== undefined) await release(before);
    }
  }
  return { within, forget };
}

export type Parents = ReturnType<typeof parentsBelow>;

/** Opens the file and checks its revision. @throws SourceProblem */
export async function openPinned(parents: Parents, entry: SourceEntry): Promise<FileHandle> {
  const cut = entry.key.lastIndexOf('/') + 1;
  const open = () =>
    parents.within(entry.key.slice(0, cut), (parent) => openFile(parent, nameOf(entry.key.slice(cut))));
  let file: FileHandle;
  try {
    // The kept parent folder may have been replaced by another one of the same name, so a failure tries once more.
    file = await open().catch(() => parents.forget().then(open));
  } catch (error) {
    throw problemOf(error);
  }
  try {
    const stat = await file.stat({ bigint: true });
    if (!stat.isFile() || revisionOf(stat) !== entry.revision) throw changed();
    const rest = restOfTick(stat.ctimeNs, Date.now());
    if (rest > 0) await wait(rest);
    return file;
  } catch (error) {
    await file.close();
    throw problemOf(error);
  }
}

/** Provides buffers for file content. */
type Memory = { take(length: number): Uint8Array; giveBack(buffer: Uint8Array): void };

/** A new buffer for each slice. */
export const freshMemory: Memory = { take: (length) => Buffer.allocUnsafeSlow(length), giveBack() {} };

/** The pool has two buffer sizes. Slices up to this size use the smaller one. */
const smallBytes = 64 * 1024;
const maxPooled = 16;
const pool = new Map<number, Uint8Array[]>([
  [smallBytes, []],
  [chunkBytes, []],
]);

/** Pooled buffers, for callers that allow the next slice to overwrite the last. */
export const pooledMemory: Memory = {
  take(length) {
    const size = length <= smallBytes ? smallBytes : chunkBytes;
    return pool.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size);
  },
  giveBack(buffer) {
    const buffers = pool.get(buffer.length);
    if (buffers && buffers.length < maxPooled) buffers.push(buffer);
  },
};

/** Streams the range, closes the file and calls `done`. @throws SourceProblem, at the latest instead of ending */
export async function* contentOf(
  file: FileHandle,
  entry: SourceEntry,
  range: ByteRange,
  memory: Memory,
  done: () => void,
): AsyncGenerator<Uint8Array, void> {
  try {
    const end = Math.min(range.offset + range.length, entry.size);
    for (let at = range.offset; at < end; ) {
      const length = Math.min(chunkBytes, end - at);
      const buffer = memory.take(length);
      try {
        const { bytesRead } = await file.read(buffer, 0, length, at);
        if (bytesRead === 0) throw changed();
        at += bytesRead;
        // The check comes before the last slice, so that a changed file never looks complete.
        if (at >= end) await requireUnchanged(file, entry);
        yield buffer.subarray(0, bytesRead);
      } finally {
        memory.giveBack(buffer);
      }
    }
    if (range.offset >= end) await requireUnchanged(file, entry);
  } catch (error) {
    throw problemOf(error);
  } finally {
    await file.close();
    done();
  }
}

async function requireUnchanged(file: FileHandle, entry: SourceEntry): Promise<void> {
  if (revisionOf(await file.stat({ bigint: true })) !== entry.revision) throw changed();
}

/**
 * Milliseconds from `now` (ms) until a change would get a later time than the last change. The clock of a file system
 * ticks every few milliseconds, or every two seconds if its times have no fraction. Two writes in one tick have the
 * same time. So reading starts after the tick of the last change, to notice every later write.
 */
export function restOfTick(ctimeNs: bigint, now: number): number {
  const tick = ctimeNs % 1_000_000_000n === 0n ? 2_000 : 20;
  const age = now - Number(ctimeNs / 1_000_000n);
  return age >= 0 && age < tick ? tick - age : 0;
}

function changed(): SourceProblem {
  return new SourceProblem('changed', 'The file changed during the backup. The next run backs it up.', {
    retryable: true,
  });
}

function problemOf(error: unknown): unknown {
  throwIfExhausted(error);
  const code = systemCode(error);
  if (error instanceof OwnData)
    return new SourceProblem('forbidden', 'The file is in a data folder of ListBackup, which is not backed up.');
  if (code === '') return error;
  if (code === 'ENOENT') return new SourceProblem('vanished', 'The file is no longer there.');
  if (['ENOTDIR', 'ELOOP', 'ENXIO', 'EISDIR'].includes(code)) return changed();
  if (code === 'EACCES' || code === 'EPERM') {
    return new SourceProblem('unreadable', 'ListBackup has no permission to read the file. Let its user read it.');
  }
  return new SourceProblem('unreadable', `The file cannot be read (${code}). Check its disk.`, { retryable: true });
}
