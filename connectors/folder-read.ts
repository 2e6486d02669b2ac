/** The content of one file, all of it from one revision. */
import type { FileHandle } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import type { SourceEntry } from '../domain/entry.ts';
import type { ByteRange } from '../domain/ports.ts';
import { SourceProblem } from './connector.ts';
import { type Directory, nameOf, OwnData, openBelow, openFile, systemCode, throwIfExhausted } from './folder-tree.ts';
import { revisionOf } from './folder-walk.ts';

const chunkBytes = 1024 * 1024;

/** Opens a folder by its key and keeps it open until another one is asked for: files come in order, so most share theirs. */
export function parentsBelow(root: Directory, never: ReadonlySet<string>) {
  type Held = { key: string; directory: Promise<Directory>; users: number };
  let current: Held | undefined;

  async function letGo(held: Held): Promise<void> {
    if (held === current || held.users > 0) return;
    const directory = await held.directory.catch(() => undefined);
    if (directory !== root) await directory?.close();
  }
  async function forget(): Promise<void> {
    const held = current;
    current = undefined;
    if (held !== undefined) await letGo(held);
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
      await letGo(held);
      if (before !== undefined) await letGo(before);
    }
  }
  return { within, forget };
}

export type Parents = ReturnType<typeof parentsBelow>;

/** The open file, if it still is that revision. @throws SourceProblem */
export async function openPinned(parents: Parents, entry: SourceEntry): Promise<FileHandle> {
  const cut = entry.key.lastIndexOf('/') + 1;
  const open = () =>
    parents.within(entry.key.slice(0, cut), (parent) => openFile(parent, nameOf(entry.key.slice(cut))));
  let file: FileHandle;
  try {
    // The folder that is held may have been replaced by another of its name.
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

/** Where a file's bytes are read to. */
type Memory = { take(length: number): Uint8Array; giveBack(buffer: Uint8Array): void };

/** Memory of its own for each slice. */
export const fresh: Memory = { take: (length) => Buffer.allocUnsafeSlow(length), giveBack() {} };

/** Files up to this take the smaller of two sizes of buffers. */
const smallBytes = 64 * 1024;
const mostKept = 16;
const kept = new Map<number, Uint8Array[]>([
  [smallBytes, []],
  [chunkBytes, []],
]);

/** The same memory again and again, for whoever lets it be overwritten. */
export const used: Memory = {
  take(length) {
    const size = length <= smallBytes ? smallBytes : chunkBytes;
    return kept.get(size)?.pop() ?? Buffer.allocUnsafeSlow(size);
  },
  giveBack(buffer) {
    const alike = kept.get(buffer.length);
    if (alike && alike.length < mostKept) alike.push(buffer);
  },
};

/** Streams the range, closes the file and says so. @throws SourceProblem, at the latest in place of the end */
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
        // The last bytes are handed out only when the file is known to be the same still.
        if (at >= end) await mustBe(file, entry);
        yield buffer.subarray(0, bytesRead);
      } finally {
        memory.giveBack(buffer);
      }
    }
    if (range.offset >= end) await mustBe(file, entry);
  } catch (error) {
    throw problemOf(error);
  } finally {
    await file.close();
    done();
  }
}

async function mustBe(file: FileHandle, entry: SourceEntry): Promise<void> {
  if (revisionOf(await file.stat({ bigint: true })) !== entry.revision) throw changed();
}

/**
 * Milliseconds until a change would get another time than the last one got. File systems stamp changes with a clock that ticks every
 * few milliseconds (some: every two seconds, with no fraction). Two writes in one tick look like one, so reading starts once the tick
 * of the last change is over: any later write is then seen.
 */
export function restOfTick(ctimeNs: bigint, now: number): number {
  const tick = ctimeNs % 1_000_000_000n === 0n ? 2_000 : 20;
  const age = now - Number(ctimeNs / 1_000_000n);
  return age >= 0 && age < tick ? tick - age : 0;
}

function changed(): SourceProblem {
  return new SourceProblem('changed', 'The file changed while it was being backed up.', { retryable: true });
}

function problemOf(error: unknown): unknown {
  throwIfExhausted(error);
  const code = systemCode(error);
  if (error instanceof OwnData)
    return new SourceProblem('forbidden', 'It is in a folder that ListBackup keeps for itself.');
  if (code === '') return error;
  if (code === 'ENOENT') return new SourceProblem('vanished', 'The file is no longer there.');
  if (['ENOTDIR', 'ELOOP', 'ENXIO', 'EISDIR'].includes(code)) return changed();
  if (code === 'EACCES' || code === 'EPERM') {
    return new SourceProblem('unreadable', 'ListBackup is not permitted to read it: let its user read it.');
  }
  return new SourceProblem('unreadable', `It cannot be read (${code}).`, { retryable: true });
}
