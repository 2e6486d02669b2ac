/** Reads files of a folder, each from one revision. */
import { closeSync, fstatSync, readSync, type Stats } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { SourceEntry } from '../domain/entry.ts';
import { type Frame, type ReadRequest, SourceProblem, temporary } from './connector.ts';
import { type Directory, nameOf, OwnData, openBelow, openFile, systemCode, throwIfExhausted } from './folder-tree.ts';
import { revisionOf } from './folder-walk.ts';

const frameBytes = 1024 * 1024;
const frameFiles = 256;
/** A slow folder gives short frames, so that progress is seen (ms). */
const longestFrameMs = 1000;
/** Files up to this size share a frame. They are read with one call, and checked once, after it. */
const smallFile = 128 * 1024;

/** The folder that was opened last: files are read in order, so most have the parent of the file before. */
export type Parents = { of(key: string): Directory; forget(): void };

export function parentsBelow(root: Directory, never: ReadonlySet<string>): Parents {
  let held: { folder: string; directory: Directory } | undefined;
  const parents = {
    of(key: string): Directory {
      const folder = key.slice(0, key.lastIndexOf('/') + 1);
      if (held?.folder === folder) return held.directory;
      parents.forget();
      held = { folder, directory: openBelow(root, folder, never) };
      return held.directory;
    },
    forget() {
      if (held && held.directory !== root) held.directory.close();
      held = undefined;
    },
  };
  return parents;
}

/**
 * The contents in frames. The memory of a frame is used again for the next one. Calls must not overlap. `proceed`
 * is called before each file and frame, and throws to stop.
 */
export async function* readFrames(
  parents: Parents,
  requests: ReadRequest[],
  memory: Uint8Array,
  proceed: () => void,
): AsyncGenerator<Frame, void> {
  let frame: Frame = [];
  let used = 0;
  let started = performance.now();
  for (let index = 0; index < requests.length; index++) {
    const { entry, range } = requests[index] as ReadRequest;
    proceed();
    if (entry.kind !== 'file') {
      frame.push({ index, problem: new SourceProblem('unreadable', 'This is not a file, so it has no content.') });
      continue;
    }
    const isSmall = entry.size <= smallFile && range === undefined;
    const isFull = frame.length >= frameFiles || used + entry.size > memory.length;
    if (frame.length > 0 && (isFull || !isSmall || performance.now() - started > longestFrameMs)) {
      yield frame;
      frame = [];
      used = 0;
      started = performance.now();
    }
    if (!isSmall) {
      yield* readLarge(parents, index, requests[index] as ReadRequest, memory, proceed);
      continue;
    }
    try {
      const bytes = memory.subarray(used, used + entry.size);
      // Two reads at most: a file that changed in this tick of the clock may change again unnoticed.
      for (let pause = readSmall(parents, entry, bytes); pause > 0; pause = readSmall(parents, entry, bytes)) {
        await wait(pause);
        proceed();
      }
      frame.push({ index, bytes, end: true });
      used += entry.size;
    } catch (error) {
      frame.push({ index, problem: problemOf(error) });
    }
  }
  if (frame.length > 0) yield frame;
}

/** Fills the bytes. Returns the milliseconds to wait before it must be called again, 0 when the content is complete. */
function readSmall(parents: Parents, entry: SourceEntry, bytes: Uint8Array): number {
  const started = Date.now();
  const fd = opened(parents, entry);
  try {
    let length = 0;
    while (length < bytes.length) {
      const read = readSync(fd, bytes, length, bytes.length - length, length);
      if (read === 0) break;
      length += read;
    }
    const stat = requireUnchanged(fd, entry);
    if (length < bytes.length) throw changed();
    return restOfTick(stat.ctimeMs, started);
  } finally {
    closeSync(fd);
  }
}

async function* readLarge(
  parents: Parents,
  index: number,
  { entry, range = { offset: 0, length: entry.size } }: ReadRequest,
  memory: Uint8Array,
  proceed: () => void,
): AsyncGenerator<Frame, void> {
  let fd: number | undefined;
  try {
    fd = opened(parents, entry);
    const rest = restOfTick(requireUnchanged(fd, entry).ctimeMs, Date.now());
    if (rest > 0) await wait(rest);
    const end = Math.min(range.offset + range.length, entry.size);
    let at = range.offset;
    do {
      proceed();
      const length = readSync(fd, memory, 0, Math.max(0, Math.min(memory.length, end - at)), at);
      if (length === 0 && at < end) throw changed();
      at += length;
      const isLast = at >= end;
      // The check comes before the last piece, so that a changed file never looks complete.
      if (isLast) requireUnchanged(fd, entry);
      yield [{ index, bytes: memory.subarray(0, length), ...(isLast && { end: true }) }];
    } while (at < end);
  } catch (error) {
    proceed();
    yield [{ index, problem: problemOf(error) }];
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Memory for the frames of one reader. */
export function frameMemory(): Uint8Array {
  return Buffer.allocUnsafeSlow(frameBytes);
}

function opened(parents: Parents, { key }: SourceEntry): number {
  const name = nameOf(key.slice(key.lastIndexOf('/') + 1));
  try {
    return openFile(parents.of(key), name);
  } catch {
    // The kept parent folder may have been replaced by another one of the same name.
    parents.forget();
    return openFile(parents.of(key), name);
  }
}

function requireUnchanged(fd: number, entry: SourceEntry): Stats {
  const stat = fstatSync(fd);
  if (!stat.isFile() || revisionOf(stat) !== entry.revision) throw changed();
  return stat;
}

/**
 * Milliseconds from `now` (ms) until a change would get a later time than the last change. The clock of a file system
 * ticks every few milliseconds, or every two seconds if its times have no fraction. Two writes in one tick have the
 * same time. So reading starts after the tick of the last change, to notice every later write.
 */
export function restOfTick(ctimeMs: number, now: number): number {
  const tick = ctimeMs % 1000 === 0 ? 2_000 : 20;
  // Date.now() has no fraction, so it may be less than the time of a change in this millisecond.
  const age = now - Math.floor(ctimeMs);
  return age >= 0 && age < tick ? Math.ceil(tick - age) : 0;
}

function changed(): SourceProblem {
  return temporary('changed', 'The file changed during the backup. The next run backs it up.');
}

/** @throws anything that is not about the file */
function problemOf(error: unknown): SourceProblem {
  throwIfExhausted(error);
  if (error instanceof SourceProblem) return error;
  const code = systemCode(error);
  if (error instanceof OwnData)
    return new SourceProblem('forbidden', 'The file is in a data folder of ListBackup, which is not backed up.');
  if (code === '') throw error;
  if (code === 'ENOENT') return new SourceProblem('vanished', 'The file is no longer there.');
  if (['ENOTDIR', 'ELOOP', 'ENXIO', 'EISDIR', 'EAGAIN', 'ESPIPE'].includes(code)) return changed();
  if (code === 'EACCES' || code === 'EPERM') {
    return new SourceProblem('unreadable', 'ListBackup has no permission to read the file. Let its user read it.');
  }
  return temporary('unreadable', `The file cannot be read (${code}). Check its disk.`);
}
