import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { SourceProblem, type SourceProblemCode, type SourceSession } from '../../../connectors/connector.ts';
import type { SourceEntry } from '../../../domain/entry.ts';
import { fetchEntries } from '../../../processors/backup/fetch-entries.ts';
import type { VaultWriter } from '../../../vault/writer.ts';

type Read = string | SourceProblem | Error | AsyncIterable<Uint8Array>;
type Look = SourceEntry | undefined | SourceProblem;
/** Answers for a key, in order. The last one repeats. */
type Script = { reads?: Read[]; checks?: Look[] };

describe('fetching a batch', () => {
  test('returns results in key order, however long each read takes', async () => {
    const keys = Array.from({ length: 30 }, (_, index) => `key-${String(index).padStart(2, '0')}`);
    const { session, release } = scripted(
      Object.fromEntries(keys.map((key) => [key, { reads: [answerFor(key)], checks: [undefined] }])),
      {
        held: keys.slice(0, 7),
      },
    );
    const fetching = fetchEntries(
      session,
      writer(),
      keys.map((key) => file(key)),
    );
    await release.whenAllOthersAreRead(keys.length - 7);
    release.held();
    const { stored, failed, skipped, vanished } = await fetching;
    const of = (rest: number) => keys.filter((_, index) => index % 3 === rest);
    expect(stored.map(({ entry }) => entry.key)).toEqual(of(0));
    expect(failed.map(({ key }) => key)).toEqual(of(1));
    expect(vanished).toEqual(of(2));
    expect(skipped.map(({ key }) => key)).toEqual(of(2));
  });

  test('stores content of files, and never reads folders and links', async () => {
    const folder: SourceEntry = { ...file('d/'), kind: 'folder' };
    const link: SourceEntry = { ...file('d/link'), kind: 'link', target: 'x' };
    const { session, asked } = scripted({ 'd/x': { reads: ['content'] } });
    const { stored } = await fetchEntries(session, writer(), [folder, link, file('d/x')]);
    expect(stored).toEqual([{ entry: folder }, { entry: link }, { entry: file('d/x'), file: storedAs('content') }]);
    expect(asked).toEqual(['read d/x r1']);
  });

  test('skips and deletes a vanished file, after a look-up has confirmed it', async () => {
    const { session, asked } = scripted({ a: { reads: [problem('vanished')], checks: [undefined] } });
    const result = await fetchEntries(session, writer(), [file('a')]);
    expect(result).toMatchObject({
      stored: [],
      failed: [],
      vanished: ['a'],
      skipped: [{ key: 'a', code: 'vanished' }],
    });
    expect(asked).toEqual(['read a r1', 'look a']);
  });

  test('stores the new file when a file was deleted and created again', async () => {
    const { session } = scripted({ a: { reads: [problem('vanished'), 'now'], checks: [file('a', 'r2')] } });
    expect((await fetchEntries(session, writer(), [file('a')])).stored).toMatchObject([{ entry: { revision: 'r2' } }]);
  });

  test('fails when the whole source vanished, instead of deleting its files', async () => {
    const { session } = scripted({ a: { reads: [problem('vanished')], checks: [problem('not-found')] } });
    await expect(fetchEntries(session, writer(), [file('a')])).rejects.toMatchObject({ code: 'not-found' });
  });

  test('stores a changed file with its new content and entry', async () => {
    const { session, asked } = scripted({
      a: { reads: [problem('changed', true), 'now'], checks: [file('a', 'r2', 3)] },
    });
    const result = await fetchEntries(session, writer(), [file('a')]);
    expect(result).toEqual({
      stored: [{ entry: file('a', 'r2', 3), file: storedAs('now') }],
      failed: [],
      skipped: [],
      vanished: [],
    });
    expect(asked).toEqual(['read a r1', 'look a', 'read a r2']);
  });

  test('discards the first attempt when a file changes during the read', async () => {
    async function* half() {
      yield Buffer.from('half of ');
      throw problem('changed', true);
    }
    const { session } = scripted({ a: { reads: [half(), 'all of the new'], checks: [file('a', 'r2')] } });
    const { stored, failed } = await fetchEntries(session, writer(), [file('a')]);
    expect(stored).toEqual([{ entry: file('a', 'r2'), file: storedAs('all of the new') }]);
    expect(failed).toEqual([]);
  });

  test('fails a file that keeps changing after three attempts, each with its newest entry', async () => {
    const checks = [file('a', 'r2'), file('a', 'r3'), file('a', 'r4')];
    const { session, asked } = scripted({ a: { reads: [problem('changed', true)], checks }, b: { reads: ['b'] } });
    const result = await fetchEntries(session, writer(), [file('a'), file('b')]);
    expect(result).toMatchObject({
      stored: [{ entry: { key: 'b' } }],
      failed: [{ key: 'a', code: 'changed', message: 'changed!' }],
    });
    expect([result.skipped, result.vanished]).toEqual([[], []]);
    expect(asked.filter((call) => call.includes(' a'))).toEqual([
      'read a r1',
      'look a',
      'read a r2',
      'look a',
      'read a r3',
    ]);
  });

  test('counts a changed file as vanished when the look-up does not find it', async () => {
    const { session } = scripted({ a: { reads: [problem('changed', true)], checks: [undefined] } });
    const result = await fetchEntries(session, writer(), [file('a')]);
    expect(result).toMatchObject({
      stored: [],
      failed: [],
      vanished: ['a'],
      skipped: [{ key: 'a', code: 'vanished' }],
    });
  });

  test('stores a file that became a link as a link', async () => {
    const link: SourceEntry = { ...file('a', 'r2', 0), kind: 'link', target: 'b' };
    const { session, asked } = scripted({ a: { reads: [problem('changed', true)], checks: [link] } });
    expect((await fetchEntries(session, writer(), [file('a')])).stored).toEqual([{ entry: link }]);
    expect(asked).toEqual(['read a r1', 'look a']);
  });

  test('fails the file, and does not delete it, when its look-up fails', async () => {
    const { session, asked } = scripted({ a: { reads: [problem('changed', true)], checks: [problem('unreadable')] } });
    const result = await fetchEntries(session, writer(), [file('a')]);
    expect(result).toMatchObject({ stored: [], vanished: [], failed: [{ key: 'a', code: 'unreadable' }] });
    expect(asked).toEqual(['read a r1', 'look a']);
  });

  test('repeats a look-up that failed temporarily before the next read', async () => {
    const checks = [problem('unreadable', true), file('a', 'r2')];
    const { session, asked } = scripted({ a: { reads: [problem('changed', true), 'now'], checks } });
    expect((await fetchEntries(session, writer(), [file('a')])).stored).toMatchObject([{ entry: { revision: 'r2' } }]);
    expect(asked).toEqual(['read a r1', 'look a', 'look a', 'read a r2']);
  });

  test.each(['unreadable', 'archived', 'forbidden'] as const)(
    'fails a file that is %s with the reason, and continues with the others',
    async (code) => {
      const { session, asked } = scripted({ a: { reads: [problem(code)] }, b: { reads: ['b'] } });
      const result = await fetchEntries(session, writer(), [file('a'), file('b')]);
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
    const result = await fetchEntries(session, writer(), [file('a'), file('b')]);
    expect(result).toMatchObject({ stored: [{ entry: { key: 'a' } }], failed: [{ key: 'b', code: 'unreadable' }] });
    expect(asked.filter((call) => call.includes(' b'))).toEqual(['read b r1', 'read b r1', 'read b r1']);
  });

  test.each(['unreachable', 'throttled', 'not-found'] as const)(
    'fails the batch when the source is %s, in a read and in a look-up',
    async (code) => {
      const down = problem(code, true);
      for (const script of [{ reads: [down] }, { reads: [problem('changed', true)], checks: [down] }]) {
        const { session } = scripted({ a: { reads: ['a'] }, b: script });
        await expect(fetchEntries(session, writer(), [file('a'), file('b')])).rejects.toBe(down);
      }
    },
  );

  test('fails the batch with any error that does not come from the source', async () => {
    const bug = new Error('the disk of the vault is full');
    const { session } = scripted({ a: { reads: ['a'] } });
    const full: Pick<VaultWriter, 'store'> = { ...writer(), store: () => Promise.reject(bug) };
    await expect(fetchEntries(session, full, [file('a')])).rejects.toBe(bug);
  });

  test('stops all reads, and starts no others, before it reports that the batch failed', async () => {
    let ended = false;
    const failing = Promise.withResolvers<void>();
    async function* endless() {
      try {
        for (;;) {
          yield Buffer.from('more');
          failing.resolve();
          // One turn of the event loop, as every real source takes.
          await new Promise((resolve) => setImmediate(resolve));
        }
      } finally {
        ended = true;
      }
    }
    async function* down(): AsyncGenerator<Uint8Array, void> {
      await failing.promise;
      yield* [];
      throw problem('unreachable', true);
    }
    const keys = Array.from({ length: 40 }, (_, index) => `z${index}`);
    const others = Object.fromEntries(keys.map((key) => [key, { reads: [endless()] }]));
    const { session, asked } = scripted({ a: { reads: [down()] }, ...others });
    await expect(fetchEntries(session, writer(), [file('a'), ...keys.map((key) => file(key))])).rejects.toMatchObject({
      code: 'unreachable',
    });
    expect(ended).toBe(true);
    expect(asked.length).toBe(32);
  });

  test('does not retry a failed file after the batch has failed', async () => {
    const down = problem('unreachable', true);
    const { session, asked, release } = scripted(
      { a: { reads: [down] }, b: { reads: [problem('unreadable', true)] } },
      { held: ['b'] },
    );
    const fetching = fetchEntries(session, writer(), [file('a'), file('b')]);
    await release.whenAllOthersAreRead(1);
    // After one turn of the event loop the failure of `a` has been handled.
    setImmediate(() => release.held());
    await expect(fetching).rejects.toBe(down);
    expect(asked).toEqual(['read a r1', 'read b r1']);
  });
});

function file(key: string, revision = 'r1', size = 1): SourceEntry {
  return { key, kind: 'file', size, modifiedAt: null, revision };
}

function problem(code: SourceProblemCode, retryable = false): SourceProblem {
  return new SourceProblem(code, `${code}!`, { retryable });
}

/** By turns: content, unreadable, vanished. */
function answerFor(key: string): Read {
  return [key, problem('unreadable'), problem('vanished')][Number(key.slice(-2)) % 3] ?? key;
}

function storedAs(content: string) {
  return { size: content.length, sha256: createHash('sha256').update(content).digest('hex'), chunks: [] };
}

/** Reads all content, and keeps only its hash. */
function writer(): Pick<VaultWriter, 'store'> {
  return {
    async store(content) {
      const pieces: Uint8Array[] = [];
      for await (const piece of content) pieces.push(piece);
      return storedAs(Buffer.concat(pieces).toString());
    },
  };
}

/** A session that answers from the script. Reads of `held` keys wait until `release.held()`. */
function scripted(script: { [key: string]: Script }, { held = [] as string[] } = {}) {
  const asked: string[] = [];
  const gate = Promise.withResolvers<void>();
  const enough = { reads: Number.POSITIVE_INFINITY, reached: Promise.withResolvers<void>() };
  let answered = 0;
  function next<T>(answers: T[] | undefined, key: string): T | undefined {
    if (answers === undefined) throw new Error(`the script has no answer for ${key}`);
    return answers.length > 1 ? answers.shift() : answers[0];
  }
  const unexpected = () => Promise.reject(new Error('fetchEntries calls only read and look'));
  const session: SourceSession = {
    check: unexpected,
    changes: unexpected,
    close: unexpected,
    describe: () => ({ identity: 'scripted' }),
    async read(entry) {
      asked.push(`read ${entry.key} ${entry.revision}`);
      const answer = next(script[entry.key]?.reads, entry.key);
      if (held.includes(entry.key)) await gate.promise;
      else if (++answered >= enough.reads) enough.reached.resolve();
      if (answer instanceof Error) throw answer;
      return typeof answer === 'string' ? contentOf(answer) : (answer ?? contentOf(''));
    },
    async look(key) {
      asked.push(`look ${key}`);
      const answer = next(script[key]?.checks, key);
      if (answer instanceof Error) throw answer;
      return answer;
    },
  };
  const release = {
    held: () => gate.resolve(),
    whenAllOthersAreRead(reads: number): Promise<void> {
      enough.reads = reads;
      if (answered >= reads) enough.reached.resolve();
      return enough.reached.promise;
    },
  };
  return { session, asked, release };
}

async function* contentOf(text: string): AsyncGenerator<Uint8Array, void> {
  for (const character of text) yield Buffer.from(character);
}
