import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  type Frame,
  type ReadRequest,
  SourceProblem,
  type SourceProblemCode,
  type SourceSession,
} from '../../../connectors/connector.ts';
import type { SourceEntry } from '../../../domain/entry.ts';
import { storeFiles } from '../../../processors/backup/store-files.ts';
import { minChunk } from '../../../vault/chunker.ts';
import { readFile } from '../../../vault/read-file.ts';
import { chunksOf, type StoredFile } from '../../../vault/writer.ts';
import { gather, memoryVault, noise, openTestWriter } from '../../vault/vault-fixture.ts';

/** Content in pieces, or a problem after the pieces before it. An Error that is no SourceProblem ends the reading. */
type Read = string | Uint8Array | (Uint8Array | Error)[] | Error;
type Look = SourceEntry | undefined | Error;
/** Answers for a key, in order. The last one repeats. */
type Script = { reads?: Read[]; looks?: Look[] };

describe('storing the files of a batch', () => {
  test('returns results in the order of entries, however the source orders its answers', async () => {
    const keys = ['z/2', 'b', 'a/x/1', 'a/z', 'z/1', 'a', 'c', 'a/b', 'd'];
    const answers: Read[] = ['content', problem('unreadable'), problem('vanished')];
    const { session } = scripted(
      Object.fromEntries(keys.map((key, i) => [key, { reads: [answers[i % 3] as Read], looks: [undefined] }])),
    );
    const { stored, failed, skipped, vanished } = await store(
      session,
      keys.map((key) => file(key)),
    );
    expect(stored.map(({ entry }) => entry.key)).toEqual(['c', 'a/z', 'z/2']);
    expect(failed.map(({ key }) => key)).toEqual(['b', 'a/b', 'z/1']);
    expect(vanished).toEqual(['a', 'd', 'a/x/1']);
    expect(skipped.map(({ key }) => key)).toEqual(vanished);
  });

  test('stores the content of files, and never reads folders and links', async () => {
    const folder: SourceEntry = { ...file('d/'), kind: 'folder' };
    const link: SourceEntry = { ...file('d/link'), kind: 'link', target: 'x' };
    const { session, asked } = scripted({ 'd/x': { reads: ['content'] } });
    const { stored } = await store(session, [folder, link, file('d/x')]);
    expect(stored).toEqual([{ entry: folder }, { entry: link }, { entry: file('d/x'), file: storedAs('content') }]);
    expect(asked).toEqual(['read d/x r1']);
  });

  test('reads nothing for a batch of folders', async () => {
    const { session, asked } = scripted({});
    const folder: SourceEntry = { ...file('d/'), kind: 'folder' };
    expect((await store(session, [folder])).stored).toEqual([{ entry: folder }]);
    expect(asked).toEqual([]);
  });

  test('stores files of each size around the chunk minimum, whole and in interleaved pieces', async () => {
    const lengths = [0, 1, 1000, minChunk - 1, minChunk, minChunk + 1, 3 * minChunk, 5_000_000];
    const contents = new Map<string, Uint8Array>();
    const script: { [key: string]: Script } = {};
    for (const [i, length] of lengths.entries())
      for (const cut of [0, 1, 100_000, minChunk - 1, minChunk]) {
        const key = `${i}/${cut}`;
        const content = noise(length, key);
        contents.set(key, content);
        script[key] = { reads: [cut === 0 ? content : slices(content, cut === 1 ? Math.ceil(length / 2) : cut)] };
      }
    const { session } = scripted(script);
    const vault = memoryVault();
    const { stored } = await store(
      session,
      [...contents.keys()].map((key) => file(key)),
      { vault },
    );
    expect(stored.map(({ entry }) => entry.key)).toEqual([...contents.keys()]);
    for (const { entry, file } of stored) {
      const content = contents.get(entry.key) as Uint8Array;
      expect([entry.key, file]).toEqual([entry.key, storedAs(content)]);
      const { sha256, placements } = file as StoredFile;
      const back = await gather(
        readFile(vault, { key: entry.key, sha256, chunks: chunksOf({ placements } as StoredFile) }),
      );
      expect(back.equals(content)).toBe(true);
    }
  });

  test('stores the small files of a frame with one call, and streams each file of the chunk minimum or more', async () => {
    const large = noise(minChunk, 'large');
    const { session } = scripted({
      ...{ a: { reads: ['a'] }, b: { reads: [''] }, c: { reads: [noise(minChunk - 1, 'c')] } },
      ...{ d: { reads: [large] }, e: { reads: [slices(large, 1000)] } },
    });
    const writer = openTestWriter(memoryVault());
    const calls: number[][] = [];
    const small: typeof writer.small = (contents) => {
      if (contents.length > 0) calls.push(contents.map(({ length }) => length));
      return writer.small(contents);
    };
    const { stored } = await storeFiles(
      session,
      { ...writer, small },
      ['a', 'b', 'c', 'd', 'e'].map((key) => file(key)),
      () => {},
    );
    expect(calls).toEqual([[minChunk - 1, 0, 1]]);
    expect(stored.map(({ file }) => file?.size)).toEqual([1, 0, minChunk - 1, minChunk, minChunk]);
  });

  test('skips and deletes a vanished file, after a look-up has confirmed it', async () => {
    const { session, asked } = scripted({ a: { reads: [problem('vanished')], looks: [undefined] } });
    const result = await store(session, [file('a')]);
    expect(result).toMatchObject({
      stored: [],
      failed: [],
      vanished: ['a'],
      skipped: [{ key: 'a', code: 'vanished' }],
    });
    expect(asked).toEqual(['read a r1', 'look a']);
  });

  test('stores the new file when a file was deleted and created again', async () => {
    const { session } = scripted({ a: { reads: [problem('vanished'), 'now'], looks: [file('a', 'r2')] } });
    expect((await store(session, [file('a')])).stored).toMatchObject([{ entry: { revision: 'r2' } }]);
  });

  test('fails when the whole source vanished, instead of deleting its files', async () => {
    const { session } = scripted({ a: { reads: [problem('vanished')], looks: [problem('not-found')] } });
    await expect(store(session, [file('a')])).rejects.toMatchObject({ code: 'not-found' });
  });

  test('stores a changed file with its new content and entry', async () => {
    const { session, asked } = scripted({
      a: { reads: [problem('changed', true), 'now'], looks: [file('a', 'r2', 3)] },
      b: { reads: ['b'] },
    });
    const result = await store(session, [file('a'), file('b')]);
    expect(result).toEqual({
      stored: [
        { entry: file('a', 'r2', 3), file: storedAs('now') },
        { entry: file('b'), file: storedAs('b') },
      ],
      failed: [],
      skipped: [],
      vanished: [],
    });
    expect(asked).toEqual(['read a r1', 'read b r1', 'look a', 'read a r2']);
  });

  test.each([
    { size: 'small', first: [Buffer.from('half of ')] },
    { size: 'large', first: slices(noise(2 * minChunk, 'half'), 100_000) },
  ])('discards the first attempt when a $size file changes during the read', async ({ first }) => {
    const { session } = scripted({
      a: { reads: [[...first, problem('changed', true)], 'all of the new'], looks: [file('a', 'r2')] },
    });
    const { stored, failed } = await store(session, [file('a')]);
    expect(stored).toEqual([{ entry: file('a', 'r2'), file: storedAs('all of the new') }]);
    expect(failed).toEqual([]);
  });

  test('fails a file that keeps changing after three attempts, each with its newest entry', async () => {
    const looks = [file('a', 'r2'), file('a', 'r3'), file('a', 'r4')];
    const { session, asked } = scripted({ a: { reads: [problem('changed', true)], looks }, b: { reads: ['b'] } });
    const result = await store(session, [file('a'), file('b')]);
    expect(result).toMatchObject({
      stored: [{ entry: { key: 'b' } }],
      failed: [{ key: 'a', code: 'changed', message: 'changed!' }],
      ...{ skipped: [], vanished: [] },
    });
    expect(asked.filter((call) => call.includes(' a'))).toEqual([
      ...['read a r1', 'look a'],
      ...['read a r2', 'look a'],
      'read a r3',
    ]);
  });

  test('counts a changed file as vanished when the look-up does not find it', async () => {
    const { session } = scripted({ a: { reads: [problem('changed', true)], looks: [undefined] } });
    const result = await store(session, [file('a')]);
    expect(result).toMatchObject({
      stored: [],
      failed: [],
      vanished: ['a'],
      skipped: [{ key: 'a', code: 'vanished' }],
    });
  });

  test('stores a file that became a link as a link', async () => {
    const link: SourceEntry = { ...file('a', 'r2', 0), kind: 'link', target: 'b' };
    const { session, asked } = scripted({ a: { reads: [problem('changed', true)], looks: [link] } });
    expect((await store(session, [file('a')])).stored).toEqual([{ entry: link }]);
    expect(asked).toEqual(['read a r1', 'look a']);
  });

  test.each(['unreadable', 'changed', 'vanished', 'archived'] as const)(
    'fails the file, and does not delete it, when its look-up fails as %s',
    async (code) => {
      const { session, asked } = scripted({
        a: { reads: [problem('changed', true)], looks: [problem(code, true)] },
        b: { reads: ['b'] },
      });
      const result = await store(session, [file('a'), file('b')]);
      expect(result).toMatchObject({ stored: [{ entry: { key: 'b' } }], vanished: [], failed: [{ key: 'a', code }] });
      expect(asked).toEqual(['read a r1', 'read b r1', 'look a']);
    },
  );

  test.each(['unreadable', 'archived', 'forbidden'] as const)(
    'fails a file that is %s with the reason, and continues with the others',
    async (code) => {
      const { session, asked } = scripted({ a: { reads: [problem(code)] }, b: { reads: ['b'] } });
      const result = await store(session, [file('a'), file('b')]);
      expect(result).toMatchObject({
        stored: [{ entry: { key: 'b' } }],
        failed: [{ key: 'a', code, message: `${code}!` }],
        vanished: [],
      });
      expect(asked.filter((call) => call.includes(' a'))).toEqual(['read a r1']);
    },
  );

  test('reads a temporarily unreadable file up to three times, with its listed entry', async () => {
    const { session, asked } = scripted({
      a: { reads: [problem('unreadable', true), problem('unreadable', true), 'a'] },
      b: { reads: [problem('unreadable', true)] },
    });
    const result = await store(session, [file('a'), file('b')]);
    expect(result).toMatchObject({ stored: [{ entry: { key: 'a' } }], failed: [{ key: 'b', code: 'unreadable' }] });
    expect(asked.filter((call) => call.includes(' b'))).toEqual(['read b r1', 'read b r1', 'read b r1']);
  });

  test.each(['unreachable', 'throttled', 'not-found'] as const)(
    'fails the batch when the source is %s, in a read and in a look-up',
    async (code) => {
      const down = problem(code, true);
      const { session: cut } = scripted({ a: { reads: ['a'] }, b: { reads: ['b'] } }, { breaks: down });
      await expect(store(cut, [file('a'), file('b')])).rejects.toBe(down);
      const { session } = scripted({ a: { reads: ['a'] }, b: { reads: [problem('changed', true)], looks: [down] } });
      await expect(store(session, [file('a'), file('b')])).rejects.toBe(down);
    },
  );

  test('fails the batch with any error that does not come from the source', async () => {
    const bug = new Error('the disk of the vault is full');
    const { session, readings } = scripted({ a: { reads: ['a'] } });
    const writer = { ...openTestWriter(memoryVault()), small: () => Promise.reject(bug) };
    await expect(storeFiles(session, writer, [file('a')], () => {})).rejects.toBe(bug);
    expect(readings.open).toBe(0);
    const { session: broken } = scripted({ a: { reads: ['a'] } }, { breaks: bug });
    await expect(store(broken, [file('a')])).rejects.toBe(bug);
  });

  test('fails the batch when the connector leaves a file without an end', async () => {
    const { session } = scripted({ a: { reads: ['a'] }, b: { reads: ['b'] } }, { forgets: 'b' });
    await expect(store(session, [file('a'), file('b')])).rejects.toThrow('did not end each file');
  });

  test('calls beat after each frame', async () => {
    const { session, frames } = scripted({ a: { reads: [slices(noise(10_000), 1000)] }, b: { reads: ['b'] } });
    let beats = 0;
    await store(session, [file('a'), file('b')], { beat: () => void beats++ });
    expect(frames.count).toBe(10);
    expect(beats).toBe(10);
  });

  test.each(['throws', 'rejects'])('stops the reading and fails when beat %s', async (how) => {
    const cancelled = new Error('the run was cancelled');
    const { session, asked, frames, readings } = scripted({
      a: { reads: [slices(noise(10_000), 1000)] },
      b: { reads: [problem('changed', true)], looks: [file('b', 'r2')] },
    });
    let beats = 0;
    const beat = () => {
      if (++beats < 3) return;
      if (how === 'throws') throw cancelled;
      return Promise.reject(cancelled);
    };
    await expect(store(session, [file('a'), file('b')], { beat })).rejects.toBe(cancelled);
    expect(frames.count).toBe(3);
    expect(readings.open).toBe(0);
    expect(asked).toEqual(['read a r1', 'read b r1']);
  });
});

function file(key: string, revision = 'r1', size = 1): SourceEntry {
  return { key, kind: 'file', size, modifiedAt: null, revision };
}

function problem(code: SourceProblemCode, retryable = false): SourceProblem {
  return new SourceProblem(code, `${code}!`, { retryable });
}

function slices(content: Uint8Array, length: number): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < content.length; at += length) pieces.push(content.subarray(at, at + length));
  return pieces;
}

function storedAs(content: string | Uint8Array) {
  const sha256 = createHash('sha256').update(content).digest('hex');
  return { size: content.length, sha256, placements: expect.any(Array) };
}

/** Stores into a vault in memory until everything is durable. */
async function store(
  session: SourceSession,
  entries: SourceEntry[],
  {
    vault = memoryVault(),
    beat = () => {},
  }: { vault?: ReturnType<typeof memoryVault>; beat?: () => void | Promise<void> } = {},
) {
  const writer = openTestWriter(vault);
  const result = await storeFiles(session, writer, entries, beat);
  await writer.finish();
  return result;
}

/**
 * A session that answers from the script. Each frame has one piece of every file, the last file first. The memory of a
 * frame is overwritten when the next one is requested. `breaks` ends each reading after its first frame. `forgets`: the
 * key of a file that gets no end.
 */
function scripted(script: { [key: string]: Script }, { breaks, forgets }: { breaks?: Error; forgets?: string } = {}) {
  const asked: string[] = [];
  const frames = { count: 0 };
  const readings = { open: 0 };
  function next<T>(answers: T[] | undefined, key: string): T | undefined {
    if (answers === undefined) throw new Error(`the script has no answer for ${key}`);
    return answers.length > 1 ? answers.shift() : answers[0];
  }
  const unexpected = () => Promise.reject(new Error('storeFiles calls only read and look'));

  function partsOf(index: number, { entry }: ReadRequest): Frame {
    asked.push(`read ${entry.key} ${entry.revision}`);
    const answer = next(script[entry.key]?.reads, entry.key);
    const pieces = answer === undefined ? [] : Array.isArray(answer) ? answer : [answer];
    const parts = pieces.map((piece): Frame[number] => {
      if (piece instanceof SourceProblem) return { index, problem: piece };
      if (piece instanceof Error) throw piece;
      return { index, bytes: Uint8Array.from(Buffer.from(piece)) };
    });
    const last = parts.at(-1);
    if (!last) return [{ index, bytes: new Uint8Array(), end: true }];
    if ('bytes' in last && entry.key !== forgets) last.end = true;
    return parts;
  }

  const session: SourceSession = {
    check: unexpected,
    list: unexpected,
    close: unexpected,
    async *read(requests) {
      if (readings.open++ > 0) throw new Error('the readings of a session overlap');
      try {
        const files = requests.map((request, index) => partsOf(index, request)).reverse();
        for (let number = 0; files.some((parts) => parts[number]); number++) {
          const frame = files.flatMap((parts) => parts[number] ?? []);
          frames.count++;
          yield frame;
          for (const part of frame) if ('bytes' in part) part.bytes.fill(0xee);
          if (breaks) throw breaks;
        }
      } finally {
        readings.open--;
      }
    },
    async look({ key }) {
      asked.push(`look ${key}`);
      const answer = next(script[key]?.looks, key);
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  return { session, asked, frames, readings };
}
