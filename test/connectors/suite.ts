/** What every connector promises, whatever its kind: a new one passes it by describing a source that the suite can change. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { AnyConnector, ConnectorContext, SourceProblem, SourceSession } from '../../connectors/connector.ts';
import { compareKeys, type ListItem, type SourceEntry } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';

type Settings = { [field: string]: unknown };

/** A source that is empty, and how a test gets at it behind the connector's back. */
export type TestSource = {
  connector: AnyConnector;
  config: Settings;
  credentials: Settings | undefined;
  context: ConnectorContext;
  put(key: string, content: Uint8Array | string): Promise<void>;
  remove(key: string): Promise<void>;
  /** Settings that are right in form, of a source that is not there. */
  missing: Settings;
  /** Settings that are wrong, and the field that is. */
  wrong: { config?: Settings; credentials?: Settings; field: string }[];
  /** Names that this kind can have and that are easily got wrong. */
  awkward: string[];
  dispose(): Promise<void>;
};

export function connectorSuite(kind: string, make: () => Promise<TestSource>): void {
  describe(`what every connector promises: ${kind}`, () => {
    let source: TestSource;
    let sessions: SourceSession[];
    beforeEach(async () => {
      sessions = [];
      source = await make();
    });
    afterEach(async () => {
      for (const session of sessions) await session.close();
      await source.dispose();
    });

    async function open(config: Settings = source.config): Promise<SourceSession> {
      const session = await source.connector.open(config, source.credentials, source.context);
      sessions.push(session);
      return session;
    }
    async function listAll(session: SourceSession, limit = 1_000, page: string | null = null): Promise<ListItem[]> {
      const items: ListItem[] = [];
      do {
        const got = await session.changes({ since: null, page }, { limit });
        expect(got.items.length).toBeLessThanOrEqual(limit);
        items.push(...got.items);
        page = got.page;
      } while (page !== null);
      return items;
    }
    async function fileOf(session: SourceSession, key: string): Promise<SourceEntry> {
      const found = filesOf(await listAll(session)).find((entry) => entry.key === key);
      if (found === undefined) throw new Error(`${key} is not listed`);
      return found;
    }
    async function fill(): Promise<string[]> {
      const keys = ['B', 'a', 'a.txt', 'a0', 'b/1', 'b/10', 'b/2', 'b/deep/er/x', 'b-side', 'z', 'é', '￼', '😀'];
      for (const key of keys) await source.put(key, `content of ${key}`);
      return keys.sort(compareKeys);
    }

    test('a listing is in the order of keys and says what each file is', async () => {
      const keys = await fill();
      const session = await open();
      await session.check();
      const items = await listAll(session);
      expectAscending(items);
      expect(filesOf(items).map((entry) => entry.key)).toEqual(keys);
      for (const entry of filesOf(items)) {
        expect(entry.size).toBe(Buffer.byteLength(`content of ${entry.key}`));
        expect(entry.modifiedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      }
    });

    test('an empty source is an empty listing', async () => {
      expect(await listAll(await open())).toEqual([]);
    });

    test.each([1, 2, 3, 5])('pages of %i are the whole listing', async (limit) => {
      await fill();
      const session = await open();
      expect(await listAll(session, limit)).toEqual(await listAll(session));
    });

    test('a page token goes on in another session', async () => {
      await fill();
      const whole = await listAll(await open());
      const first = await (await open()).changes({ since: null, page: null }, { limit: 5 });
      const rest = await listAll(await open(), 1_000, first.page);
      expect([...first.items, ...rest]).toEqual(whole);
    });

    test('a page token asked for twice gives the same page twice', async () => {
      await fill();
      const session = await open();
      const first = await session.changes({ since: null, page: null }, { limit: 3 });
      const second = await session.changes({ since: null, page: first.page }, { limit: 3 });
      expect(await session.changes({ since: null, page: first.page }, { limit: 3 })).toEqual(second);
    });

    test('what changes between two pages never breaks the order, and what stayed is listed', async () => {
      await fill();
      const session = await open();
      for (const resumed of [session, await open()]) {
        let page: string | null = null;
        const items: ListItem[] = [];
        do {
          const got = await session.changes({ since: null, page }, { limit: 6 });
          items.push(...got.items);
          page = got.page;
        } while (page !== null && !items.some((item) => keyOf(item) > 'b/'));
        await source.remove('b/2');
        await source.remove('b/1');
        await source.put('A', 'new, before');
        await source.put('b/3', 'new');
        await source.put('c', 'new, after');
        items.push(...(await listAll(resumed, 6, page)));
        expectAscending(items);
        expect(filesOf(items).map((entry) => entry.key)).toEqual(
          expect.arrayContaining(['B', 'a', 'b/deep/er/x', 'z', '😀']),
        );
        for (const key of ['A', 'b/3', 'c']) await source.remove(key);
        for (const key of ['b/1', 'b/2']) await source.put(key, 'back');
      }
    });

    test('names come through byte for byte, and what they name can be read', async () => {
      for (const name of source.awkward) await source.put(name, `content of ${name}`);
      const session = await open();
      for (const limit of [1, 1_000]) {
        const files = filesOf(await listAll(session, limit));
        expect(files.map((entry) => entry.key)).toEqual([...source.awkward].sort(compareKeys));
      }
      for (const entry of filesOf(await listAll(session)))
        expect((await contentOf(session, entry)).toString()).toBe(`content of ${entry.key}`);
    });

    test('a look gives the entry that a listing would, whatever the name and whatever is named alike', async () => {
      await fill();
      for (const name of source.awkward) await source.put(name, `content of ${name}`);
      const items = await listAll(await open());
      const session = await open();
      expect(items.length).toBeGreaterThan(source.awkward.length);
      for (const item of items)
        expect(await session.look(keyOf(item))).toEqual(item.type === 'entry' ? item.entry : undefined);
    });

    test('a look at what is not there is undefined, also between names that start alike', async () => {
      await fill();
      const session = await open();
      for (const key of ['b', 'b/', 'b/1', 'b/10', 'c', 'b/deep', 'b/deep/e', 'a.tx', 'a/b', 'a/', '/a', '']) {
        const listed = (await listAll(session)).find((item) => keyOf(item) === key);
        expect(await session.look(key)).toEqual(listed?.type === 'entry' ? listed.entry : undefined);
      }
      await session.look('b/1');
      await source.remove('b/1');
      await source.remove('a');
      for (const key of ['b/1', 'a']) expect(await session.look(key)).toBeUndefined();
      for (const key of ['b/10', 'a.txt']) expect(await session.look(key)).toMatchObject({ key });
    });

    test('a look sees a change, and what it saw can be read', async () => {
      await source.put('in/file', 'one!');
      const session = await open();
      const before = await fileOf(session, 'in/file');
      await contentOf(session, before);
      await source.put('in/file', 'other');
      expect((await problemOf(contentOf(session, before))).code).toBe('changed');
      const now = await session.look('in/file');
      expect(now?.revision).not.toBe(before.revision);
      expect(now).toEqual(await fileOf(await open(), 'in/file'));
      expect(now && (await contentOf(session, now)).toString()).toBe('other');
    });

    test('content is read whole or by range', async () => {
      const content = Buffer.alloc(2_500_000, 'twelve bytes');
      content.writeUInt32BE(0xdeadbeef, 1_048_574);
      await source.put('big', content);
      const session = await open();
      const entry = await fileOf(session, 'big');
      expect((await contentOf(session, entry)).equals(content)).toBe(true);
      for (const [offset, length] of [
        [0, 1],
        [1_048_570, 10],
        [1_000_000, 1_200_000],
        [2_499_999, 1],
        [2_499_000, 9_000],
        [2_500_000, 10],
        [9_000_000, 10],
        [7, 0],
      ] as const) {
        expect(
          (await contentOf(session, entry, { offset, length })).equals(content.subarray(offset, offset + length)),
        ).toBe(true);
      }
    });

    test('an empty file is a file without content', async () => {
      await source.put('empty', '');
      const session = await open();
      const entry = await fileOf(session, 'empty');
      expect(entry).toMatchObject({ kind: 'file', size: 0 });
      expect((await contentOf(session, entry)).length).toBe(0);
      expect((await contentOf(session, entry, { offset: 0, length: 5 })).length).toBe(0);
    });

    test('a revision stays while nothing changes and changes with the content', async () => {
      await source.put('file', 'one!');
      const session = await open();
      const before = await fileOf(session, 'file');
      expect(await fileOf(await open(), 'file')).toEqual(before);
      await contentOf(session, before);
      await source.put('file', 'two!');
      const after = await fileOf(session, 'file');
      expect(after.revision).not.toBe(before.revision);
      expect(after.size).toBe(before.size);
    });

    test('a file that changed or vanished since it was listed is not read', async () => {
      await source.put('changes', 'one!');
      await source.put('vanishes', 'here');
      await source.put('in/vanishes', 'here');
      const session = await open();
      const [changes, inVanishes, vanishes] = filesOf(await listAll(session));
      if (changes === undefined || vanishes === undefined || inVanishes === undefined) throw new Error('not listed');
      await contentOf(session, vanishes);
      await source.put('changes', 'two!');
      await source.remove('vanishes');
      await source.remove('in/vanishes');
      expect(await problemOf(session.read(changes))).toMatchObject({ code: 'changed', retryable: true });
      expect(await problemOf(contentOf(session, changes, { offset: 1, length: 2 }))).toMatchObject({
        code: 'changed',
        retryable: true,
      });
      expect(await problemOf(contentOf(session, vanishes))).toMatchObject({ code: 'vanished', retryable: false });
      expect(await problemOf(contentOf(session, inVanishes))).toMatchObject({ code: 'vanished', retryable: false });
    });

    test('a file that changes while it is read comes whole as it was, or not to its end', async () => {
      const before = Buffer.alloc(6_000_000, 'before');
      await source.put('big', before);
      const session = await open();
      const entry = await fileOf(session, 'big');
      const chunks: Uint8Array[] = [];
      const reading = (async () => {
        for await (const chunk of await session.read(entry)) {
          if (chunks.length === 0) await source.put('big', Buffer.alloc(6_000_000, 'after!'));
          chunks.push(chunk);
        }
        return Buffer.concat(chunks);
      })();
      const outcome = await reading.catch((error: SourceProblem) => error.code);
      if (outcome !== 'changed') expect(outcome.toString('latin1') === before.toString('latin1')).toBe(true);
    });

    test('reading can stop early, and files can be read side by side', async () => {
      for (const key of ['x/1', 'x/2', 'y/1', 'y/2']) await source.put(key, Buffer.alloc(1_500_000, key));
      const session = await open();
      const files = filesOf(await listAll(session));
      for (const entry of files) for await (const chunk of await session.read(entry)) if (chunk.length > 0) break;
      const together = await Promise.all([...files, ...files].map((entry) => contentOf(session, entry)));
      for (const [index, content] of together.entries()) {
        expect(content.equals(Buffer.alloc(1_500_000, files[index % files.length]?.key))).toBe(true);
      }
    });

    test('closing ends what is still open', async () => {
      await source.put('big', Buffer.alloc(30_000_000, 'x'));
      const session = await open();
      const entry = await fileOf(session, 'big');
      const [started, unstarted] = [await session.read(entry), await session.read(entry)].map((stream) =>
        stream[Symbol.asyncIterator](),
      );
      await started?.next();
      await session.close();
      for (const stream of [started, unstarted]) {
        const rest = (async () => {
          while (!(await stream?.next())?.done);
        })();
        await expect(rest).rejects.toThrow();
      }
    });

    test('a source that is not there says so', async () => {
      const session = await open(source.missing);
      const problem = await problemOf(session.check());
      expect(problem.code).toBe('not-found');
      expect((await problemOf(session.changes({ since: null, page: null }, { limit: 10 }))).code).toBe('not-found');
      expect((await problemOf(session.look('file'))).code).toBe('not-found');
      expect(problem.message).not.toMatch(/undefined|\[object/);
    });

    test('wrong settings are refused, naming the field', async () => {
      const unknown: TestSource['wrong'][number] = {
        config: { ...source.config, colour: 'red' },
        field: 'config.colour',
      };
      for (const { config = source.config, credentials = source.credentials, field } of [...source.wrong, unknown]) {
        const refusal: unknown = await source.connector
          .open(config, credentials, source.context)
          .catch((error: unknown) => error);
        expect(refusal).toBeInstanceOf(Problem);
        expect(refusal).toMatchObject({ code: 'invalid-input', errors: [{ path: field }] });
      }
    });

    test('neither its name nor its errors hold a secret', async () => {
      const session = await open();
      const said = [session.describe().identity, String(await problemOf((await open(source.missing)).check()))];
      expect(session.describe()).toEqual((await open()).describe());
      expect(said[0]).not.toBe('');
      for (const secret of Object.values(source.credentials ?? {}))
        for (const text of said) expect(text).not.toContain(String(secret));
    });
  });
}

export function filesOf(items: ListItem[]): SourceEntry[] {
  return items.flatMap((item) => (item.type === 'entry' && item.entry.kind === 'file' ? [item.entry] : []));
}

export function keyOf(item: ListItem): string {
  return item.type === 'entry' ? item.entry.key : item.refusal.key;
}

export async function contentOf(
  session: SourceSession,
  entry: SourceEntry,
  range?: { offset: number; length: number },
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await session.read(entry, range)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** What it fails with, which has to be a SourceProblem. */
export async function problemOf(promise: Promise<unknown>): Promise<SourceProblem> {
  const error: unknown = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'SourceProblem' });
  return error as SourceProblem;
}

function expectAscending(items: ListItem[]): void {
  const keys = items.map(keyOf);
  for (const [index, key] of keys.entries()) if (index > 0) expect(compareKeys(keys[index - 1] ?? '', key)).toBe(-1);
}
