import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { SourceProblem, type SourceProblemCode, type SourceSession } from '../../../connectors/connector.ts';
import type { SourceEntry } from '../../../domain/entry.ts';
import { fetchEntries } from '../../../processors/backup/fetch-entries.ts';
import type { VaultWriter } from '../../../vault/writer.ts';

type Read = string | SourceProblem | Error | AsyncIterable<Uint8Array>;
type Look = SourceEntry | undefined | SourceProblem;
/** What a key answers, one after the other; the last answer again and again. */
type Script = { reads?: Read[]; looks?: Look[] };

describe('fetching a batch', () => {
  test('everything comes back in the order of keys, however long each takes', async () => {
    const keys = Array.from({ length: 30 }, (_, index) => `key-${String(index).padStart(2, '0')}`);
    const { session, release } = scripted(
      Object.fromEntries(keys.map((key) => [key, { reads: [answerFor(key)], looks: [undefined] }])),
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

  test('files come with what they hold, folders and links without ever being read', async () => {
    const folder: SourceEntry = { ...file('d/'), kind: 'folder' };
    const link: SourceEntry = { ...file('d/link'), kind: 'link', target: 'x' };
    const { session, asked } = scripted({ 'd/x': { reads: ['content'] } });
    const { stored } = await fetchEntries(session, writer(), [folder, link, file('d/x')]);
    expect(stored).toEqual([{ entry: folder }, { entry: link }, { entry: file('d/x'), file: storedAs('content') }]);
    expect(asked).toEqual(['read d/x r1']);
  });

  test('what vanished is skipped and taken out, once a look has said so too', async () => {
    const { session, asked } = scripted({ a: { reads: [problem('vanished')], looks: [undefined] } });
    const result = await fetchEntries(session, writer(), [file('a')]);
    expect(result).toMatchObject({
      stored: [],
      failed: [],
      vanished: ['a'],
      skipped: [{ key: 'a', code: 'vanished' }],
    });
    expect(asked).toEqual(['read a r1', 'look a']);
  });

  test('what was deleted and made anew is stored as it is now', async () => {
    const { session } = scripted({ a: { reads: [problem('vanished'), 'now'], looks: [file('a', 'r2')] } });
    expect((await fetchEntries(session, writer(), [file('a')])).stored).toMatchObject([{ entry: { revision: 'r2' } }]);
  });

  test('a source that is gone is no reason to take out its files', async () => {
    const { session } = scripted({ a: { reads: [problem('vanished')], looks: [problem('not-found')] } });
    await expect(fetchEntries(session, writer(), [file('a')])).rejects.toMatchObject({ code: 'not-found' });
  });

  test('what changed is stored as it is now, with the entry of now', async () => {
    const { session, asked } = scripted({
      a: { reads: [problem('changed', true), 'now'], looks: [file('a', 'r2', 3)] },
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

  test('what changes in the middle of its content counts as changed too, and nothing of the first try is kept', async () => {
    async function* half() {
      yield Buffer.from('half of ');
      throw problem('changed', true);
    }
    const { session } = scripted({ a: { reads: [half(), 'all of the new'], looks: [file('a', 'r2')] } });
    const { stored, failed } = await fetchEntries(session, writer(), [file('a')]);
    expect(stored).toEqual([{ entry: file('a', 'r2'), file: storedAs('all of the new') }]);
    expect(failed).toEqual([]);
  });

  test('what changes for ever is failed as changed after three tries, each with the entry of its time', async () => {
    const looks = [file('a', 'r2'), file('a', 'r3'), file('a', 'r4')];
    const { session, asked } = scripted({ a: { reads: [problem('changed', true)], looks }, b: { reads: ['b'] } });
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

  test('what changed and is gone when looked at has vanished', async () => {
    const { session } = scripted({ a: { reads: [problem('changed', true)], looks: [undefined] } });
    const result = await fetchEntries(session, writer(), [file('a')]);
    expect(result).toMatchObject({
      stored: [],
      failed: [],
      vanished: ['a'],
      skipped: [{ key: 'a', code: 'vanished' }],
    });
  });

  test('what has become a link is stored as a link', async () => {
    const link: SourceEntry = { ...file('a', 'r2', 0), kind: 'link', target: 'b' };
    const { session, asked } = scripted({ a: { reads: [problem('changed', true)], looks: [link] } });
    expect((await fetchEntries(session, writer(), [file('a')])).stored).toEqual([{ entry: link }]);
    expect(asked).toEqual(['read a r1', 'look a']);
  });

  test('a look that cannot tell is a failure of that file, never a deletion', async () => {
    const { session, asked } = scripted({ a: { reads: [problem('changed', true)], looks: [problem('unreadable')] } });
    const result = await fetchEntries(session, writer(), [file('a')]);
    expect(result).toMatchObject({ stored: [], vanished: [], failed: [{ key: 'a', code: 'unreadable' }] });
    expect(asked).toEqual(['read a r1', 'look a']);
  });

  test('a look that may help later is repeated before the file is read again', async () => {
    const looks = [problem('unreadable', true), file('a', 'r2')];
    const { session, asked } = scripted({ a: { reads: [problem('changed', true), 'now'], looks } });
    expect((await fetchEntries(session, writer(), [file('a')])).stored).toMatchObject([{ entry: { revision: 'r2' } }]);
    expect(asked).toEqual(['read a r1', 'look a', 'look a', 'read a r2']);
  });

  test.each(['unreadable', 'archived', 'forbidden'] as const)(
    'what is %s is failed with why, and the others go on',
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

  test('what is unreadable for a moment is tried three times in all, as it was listed', async () => {
    const { session, asked } = scripted({
      a: { reads: [problem('unreadable', true), problem('unreadable', true), 'a'] },
      b: { reads: [problem('unreadable', true)] },
    });
    const result = await fetchEntries(session, writer(), [file('a'), file('b')]);
    expect(result).toMatchObject({ stored: [{ entry: { key: 'a' } }], failed: [{ key: 'b', code: 'unreadable' }] });
    expect(asked.filter((call) => call.includes(' b'))).toEqual(['read b r1', 'read b r1', 'read b r1']);
  });

  test.each(['unreachable', 'throttled', 'not-found'] as const)(
    'a source that is %s fails the batch, in a read and in a look',
    async (code) => {
      const down = problem(code, true);
      for (const script of [{ reads: [down] }, { reads: [problem('changed', true)], looks: [down] }]) {
        const { session } = scripted({ a: { reads: ['a'] }, b: script });
        await expect(fetchEntries(session, writer(), [file('a'), file('b')])).rejects.toBe(down);
      }
    },
  );

  test('what is no trouble of the source fails the batch as it is', async () => {
    const bug = new Error('the disk of the vault is full');
    const { session } = scripted({ a: { reads: ['a'] } });
    const full: Pick<VaultWriter, 'store'> = { ...writer(), store: () => Promise.reject(bug) };
    await expect(fetchEntries(session, full, [file('a')])).rejects.toBe(bug);
  });

  test('once the batch has failed, what is being read ends, nothing else begins, and only then is it said', async () => {
    let ended = false;
    const failing = Promise.withResolvers<void>();
    async function* endless() {
      try {
        for (;;) {
          yield Buffer.from('more');
          failing.resolve();
          // A turn of the event loop, as any real source takes.
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

  test('once the batch has failed, what failed by itself is not tried again', async () => {
    const down = problem('unreachable', true);
    const { session, asked, release } = scripted(
      { a: { reads: [down] }, b: { reads: [problem('unreadable', true)] } },
      { held: ['b'] },
    );
    const fetching = fetchEntries(session, writer(), [file('a'), file('b')]);
    await release.whenAllOthersAreRead(1);
    // A turn of the event loop: by then the failure of the one has gone all the way.
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

/** Takes content in whole and keeps nothing. */
function writer(): Pick<VaultWriter, 'store'> {
  return {
    async store(content) {
      const pieces: Uint8Array[] = [];
      for await (const piece of content) pieces.push(piece);
      return storedAs(Buffer.concat(pieces).toString());
    },
  };
}

/** A session that answers as told. Reads of `held` keys are answered only once they are released. */
function scripted(script: { [key: string]: Script }, { held = [] as string[] } = {}) {
  const asked: string[] = [];
  const gate = Promise.withResolvers<void>();
  const enough = { reads: Number.POSITIVE_INFINITY, reached: Promise.withResolvers<void>() };
  let answered = 0;
  function next<T>(answers: T[] | undefined, key: string): T | undefined {
    if (answers === undefined) throw new Error(`nobody expected to be asked about ${key}`);
    return answers.length > 1 ? answers.shift() : answers[0];
  }
  const unexpected = () => Promise.reject(new Error('fetching only reads and looks'));
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
      const answer = next(script[key]?.looks, key);
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
