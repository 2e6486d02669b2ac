/** The names in a folder, held as bytes. As strings, those of a folder with millions of files fill a worker's heap. */
import { opendirSync } from 'node:fs';
import type { Directory } from './folder-tree.ts';

/** Names that are sorted as strings. */
const runLength = 262_144;

/** A generator yields null after this many steps without a result, so that its caller can stop a huge folder. */
export const stepsPerPause = 1024;

/**
 * The names in the order of their bytes, with one character for each byte. The name of a folder ends in `/`. It reads
 * the whole folder before it returns. @throws system errors
 */
export function* namesIn(directory: Directory): Generator<null, Iterable<string>> {
  const path = directory.at('');
  try {
    return yield* sortedNames(readNames(path, 'latin1'));
  } catch {
    // If the file system gives no types, Node takes a Latin-1 name for UTF-8 and does not find it.
    return yield* sortedNames(readNames(Buffer.from(path), 'buffer'));
  }
}

function* readNames(path: string | Buffer, encoding: 'latin1' | 'buffer'): Generator<string, void> {
  const folder = opendirSync(path as string, { encoding: encoding as 'latin1', bufferSize: 1024 });
  try {
    for (let child = folder.readSync(); child; child = folder.readSync()) {
      const name = typeof child.name === 'string' ? child.name : (child.name as Buffer).toString('latin1');
      yield child.isDirectory() ? `${name}/` : name;
    }
  } finally {
    folder.closeSync();
  }
}

/** Sorts the names, which cannot hold a NUL, and leaves out repeated ones. */
export function* sortedNames(names: Iterable<string>, length = runLength): Generator<null, Iterable<string>> {
  const runs: Buffer[] = [];
  let open: string[] = [];
  let count = 0;
  for (const name of names) {
    if (++count % stepsPerPause === 0) yield null;
    if (open.push(name) < length) continue;
    runs.push(Buffer.from(`${open.sort().join('\0')}\0`, 'latin1'));
    open = [];
  }
  open.sort();
  return distinct(runs.length === 0 ? open : merged([...runs.map(namesOf), open.values()]));
}

function* namesOf(run: Buffer): Generator<string, undefined> {
  for (let at = 0, end = 0; at < run.length; at = end + 1) {
    end = run.indexOf(0, at);
    yield run.toString('latin1', at, end);
  }
}

/** A folder has few runs, so the least name is found without a heap. */
function* merged(runs: Iterator<string, undefined>[]): Generator<string, void> {
  const heads = runs.map((run) => run.next().value);
  for (;;) {
    let least = -1;
    for (let i = 0; i < heads.length; i++) {
      const head = heads[i];
      if (head !== undefined && (least < 0 || head < (heads[least] as string))) least = i;
    }
    if (least < 0) return;
    yield heads[least] as string;
    heads[least] = runs[least]?.next().value;
  }
}

/** A listing of a folder that changes meanwhile may repeat a name. */
function* distinct(names: Iterable<string>): Generator<string, void> {
  let last: string | undefined;
  for (const name of names) {
    if (name !== last) yield name;
    last = name;
  }
}
