/** The contract of every connector. A new connector passes the suite by describing a source that tests can change. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  type AnyConnector,
  type ConnectorContext,
  contentOf,
  type Frame,
  type ReadRequest,
  type SourceProblem,
  type SourceSession,
} from '../../connectors/connector.ts';
import {
  comparePositions,
  itemPosition,
  keyOf,
  type ListItem,
  parentOf,
  type SourceEntry,
} from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';

type Settings = { [field: string]: unknown };

/** An empty source, with the means to change it without the connector. */
export type TestSource = {
  connector: AnyConnector;
  config: Settings;
  credentials: Settings | undefined;
  context: ConnectorContext;
  put(key: string, content: Uint8Array | string): Promise<void>;
  remove(key: string): Promise<void>;
  /** Valid settings of a source that does not exist. */
  missing: Settings;
  /** Invalid settings, each with the invalid field. */
  wrong: { config?: Settings; credentials?: Settings; field: string }[];
  /** Valid names that are easy to get wrong. */
  awkward: string[];
  dispose(): Promise<void>;
};

export function connectorSuite(kind: string, make: () => Promise<TestSource>): void {
  describe(`contract of a connector: ${kind}`, () => {
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
        const result = await session.list(page, { limit });
        expect(result.items.length).toBeLessThanOrEqual(limit);
        items.push(...result.items);
        page = result.page;
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
      return keys.sort();
    }
    /** Checks the order that the connector declares. `complete`: the items are a listing from its start to its end. */
    function expectDeclaredOrder(items: ListItem[], complete: boolean): void {
      const { order } = source.connector;
      const names = items.map((item) => `${item.type === 'unlisted' ? 'below ' : ''}${keyOf(item)}`);
      expect(new Set(names).size).toBe(names.length);
      if (order === 'any') return;
      for (const [index, item] of items.entries()) {
        const last = items[index - 1];
        if (last)
          expect([names[index], comparePositions(itemPosition(last), itemPosition(item))]).toEqual([names[index], -1]);
      }
      if (!complete) return;
      const listed = new Set(items.map(keyOf));
      for (const item of items) expect(['', ...listed]).toContain(parentOf(keyOf(item)));
    }

    test('lists files in the declared order, with size and time', async () => {
      const keys = await fill();
      const session = await open();
      await session.check();
      const items = await listAll(session);
      expectDeclaredOrder(items, true);
      expect(keysOf(filesOf(items))).toEqual(keys);
      for (const entry of filesOf(items)) {
        expect(entry.size).toBe(Buffer.byteLength(`content of ${entry.key}`));
        expect(entry.modifiedAt).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      }
    });

    test('lists nothing for an empty source', async () => {
      expect(await listAll(await open())).toEqual([]);
    });

    test.each([1, 2, 3, 5])('lists the same items in pages of %i', async (limit) => {
      await fill();
      const session = await open();
      const items = await listAll(session, limit);
      expectDeclaredOrder(items, true);
      expect(items).toEqual(await listAll(session));
    });

    test('continues from a page token in another session', async () => {
      await fill();
      const whole = await listAll(await open());
      const first = await (await open()).list(null, { limit: 5 });
      const rest = await listAll(await open(), 1_000, first.page);
      expect([...first.items, ...rest]).toEqual(whole);
    });

    test('returns the same page for the same token', async () => {
      await fill();
      const session = await open();
      const first = await session.list(null, { limit: 3 });
      const second = await session.list(first.page, { limit: 3 });
      expect(await session.list(first.page, { limit: 3 })).toEqual(second);
    });

    test('keeps the order and lists all unchanged files when the source changes between pages', async () => {
      await fill();
      const session = await open();
      for (const resumed of [session, await open()]) {
        let page: string | null = null;
        const items: ListItem[] = [];
        do {
          const result = await session.list(page, { limit: 6 });
          items.push(...result.items);
          page = result.page;
        } while (page !== null && !items.some((item) => keyOf(item) === 'b/1' || keyOf(item) === 'z'));
        await source.remove('b/2');
        await source.remove('b/1');
        await source.put('A', 'new, before');
        await source.put('b/3', 'new');
        await source.put('c', 'new, after');
        items.push(...(await listAll(resumed, 6, page)));
        expectDeclaredOrder(items, false);
        expect(filesOf(items).map((entry) => entry.key)).toEqual(
          expect.arrayContaining(['B', 'a', 'b/deep/er/x', 'z', '😀']),
        );
        for (const key of ['A', 'b/3', 'c']) await source.remove(key);
        for (const key of ['b/1', 'b/2']) await source.put(key, 'back');
      }
    });

    test('lists names byte for byte, and reads the files', async () => {
      for (const name of source.awkward) await source.put(name, `content of ${name}`);
      const session = await open();
      for (const limit of [1, 1_000]) {
        const files = filesOf(await listAll(session, limit));
        expect(keysOf(files)).toEqual([...source.awkward].sort());
      }
      for (const entry of filesOf(await listAll(session)))
        expect((await readWhole(session, entry)).toString()).toBe(`content of ${entry.key}`);
    });

    test('looks up the same entry as a listing, also among similar names', async () => {
      await fill();
      for (const name of source.awkward) await source.put(name, `content of ${name}`);
      const items = await listAll(await open());
      const session = await open();
      expect(items.length).toBeGreaterThan(source.awkward.length);
      for (const item of items)
        expect(await session.look({ key: keyOf(item) })).toEqual(item.type === 'entry' ? item.entry : undefined);
    });

    test('looks up undefined for a missing key, also among keys with the same prefix', async () => {
      await fill();
      const session = await open();
      for (const key of ['b', 'b/', 'b/1', 'b/10', 'c', 'b/deep', 'b/deep/e', 'a.tx', 'a/b', 'a/', '/a', '']) {
        const listed = (await listAll(session)).find((item) => keyOf(item) === key);
        expect(await session.look({ key })).toEqual(listed?.type === 'entry' ? listed.entry : undefined);
      }
      await session.look({ key: 'b/1' });
      await source.remove('b/1');
      await source.remove('a');
      for (const key of ['b/1', 'a']) expect(await session.look({ key })).toBeUndefined();
      for (const key of ['b/10', 'a.txt']) expect(await session.look({ key })).toMatchObject({ key });
    });

    test('looks up a changed file, and reads it', async () => {
      await source.put('in/file', 'one!');
      const session = await open();
      const before = await fileOf(session, 'in/file');
      await readWhole(session, before);
      await source.put('in/file', 'other');
      expect((await problemOf(readWhole(session, before))).code).toBe('changed');
      const after = await session.look({ key: 'in/file' });
      expect(after?.revision).not.toBe(before.revision);
      expect(after).toEqual(await fileOf(await open(), 'in/file'));
      expect(after && (await readWhole(session, after)).toString()).toBe('other');
    });

    test('reads a file as a whole or by range', async () => {
      const content = Buffer.alloc(2_500_000, 'twelve bytes');
      content.writeUInt32BE(0xdeadbeef, 1_048_574);
      await source.put('big', content);
      const session = await open();
      const entry = await fileOf(session, 'big');
      expect((await readWhole(session, entry)).equals(content)).toBe(true);
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
          (await readWhole(session, entry, { offset, length })).equals(content.subarray(offset, offset + length)),
        ).toBe(true);
      }
    });

    test('lists and reads an empty file', async () => {
      await source.put('empty', '');
      const session = await open();
      const entry = await fileOf(session, 'empty');
      expect(entry).toMatchObject({ kind: 'file', size: 0 });
      expect((await readWhole(session, entry)).length).toBe(0);
      expect((await readWhole(session, entry, { offset: 0, length: 5 })).length).toBe(0);
    });

    test('changes the revision with the content, and only then', async () => {
      await source.put('file', 'one!');
      const session = await open();
      const before = await fileOf(session, 'file');
      expect(await fileOf(await open(), 'file')).toEqual(before);
      await readWhole(session, before);
      await source.put('file', 'two!');
      const after = await fileOf(session, 'file');
      expect(after.revision).not.toBe(before.revision);
      expect(after.size).toBe(before.size);
    });

    test('rejects a file that changed or was deleted after its listing', async () => {
      await source.put('changes', 'one!');
      await source.put('vanishes', 'here');
      await source.put('in/vanishes', 'here');
      const session = await open();
      const [changes, inVanishes, vanishes] = filesOf(await listAll(session));
      if (changes === undefined || vanishes === undefined || inVanishes === undefined) throw new Error('not listed');
      await readWhole(session, vanishes);
      await source.put('changes', 'two!');
      await source.remove('vanishes');
      await source.remove('in/vanishes');
      expect(await problemOf(readWhole(session, changes))).toMatchObject({ code: 'changed', retryable: true });
      expect(await problemOf(readWhole(session, changes, { offset: 1, length: 2 }))).toMatchObject({
        code: 'changed',
        retryable: true,
      });
      expect(await problemOf(readWhole(session, vanishes))).toMatchObject({ code: 'vanished', retryable: false });
      expect(await problemOf(readWhole(session, inVanishes))).toMatchObject({ code: 'vanished', retryable: false });
    });

    test('reads a file that changes meanwhile as it was, or fails', async () => {
      const before = Buffer.alloc(6_000_000, 'before');
      await source.put('big', before);
      const session = await open();
      const entry = await fileOf(session, 'big');
      const pieces: Buffer[] = [];
      const reading = (async () => {
        for await (const piece of contentOf(session, entry)) {
          pieces.push(Buffer.from(piece));
          if (pieces.length === 1) await source.put('big', Buffer.alloc(6_000_000, 'after!'));
        }
        return Buffer.concat(pieces);
      })();
      const outcome = await reading.catch((error: SourceProblem) => error.code);
      if (outcome !== 'changed') expect(outcome.toString('latin1') === before.toString('latin1')).toBe(true);
    });

    test('stops a reading early, and then reads the same files', async () => {
      for (const key of ['x/1', 'x/2', 'y/1', 'y/2']) await source.put(key, Buffer.alloc(1_500_000, key));
      const session = await open();
      const files = filesOf(await listAll(session));
      for (const entry of files) for await (const piece of contentOf(session, entry)) if (piece.length > 0) break;
      for await (const frame of session.read(files.map((entry) => ({ entry })))) if (frame.length > 0) break;
      for (const entry of files)
        expect((await readWhole(session, entry)).equals(Buffer.alloc(1_500_000, entry.key))).toBe(true);
    });

    test('reads large, small and empty files and ranges in one reading, each ended once', async () => {
      const contents = new Map<string, Buffer>([['empty', Buffer.alloc(0)]]);
      for (const key of ['x/1', 'x/2', 'y/1']) contents.set(key, Buffer.alloc(1_500_000, key));
      for (let i = 0; i < 40; i++) contents.set(`small/${i}`, Buffer.alloc(40_000, `${i}`));
      for (const [key, content] of contents) await source.put(key, content);
      const session = await open();
      const files = filesOf(await listAll(session));
      const ranges: ReadRequest[] = files.map((entry) => ({ entry, range: { offset: 30_000, length: 20_000 } }));
      const requests = [...files.map((entry) => ({ entry })), ...ranges, ...files.map((entry) => ({ entry }))];
      const read = await readTogether(session, requests);
      for (const [i, { content, problem }] of read.entries()) {
        const { entry, range } = requests[i] as ReadRequest;
        const whole = contents.get(entry.key) as Buffer;
        const expected = range ? whole.subarray(range.offset, range.offset + range.length) : whole;
        expect([entry.key, problem, content.equals(expected)]).toEqual([entry.key, undefined, true]);
      }
    });

    test('reports each file of a reading that it cannot read, and reads the others', async () => {
      const keys = ['a', 'b', 'c', 'd', 'e'];
      for (const key of keys) await source.put(key, `content of ${key}`);
      const session = await open();
      const files = filesOf(await listAll(session)).sort((a, b) => (a.key < b.key ? -1 : 1));
      const folder: SourceEntry = { ...(files[0] as SourceEntry), kind: 'folder' };
      await readWhole(session, files[1] as SourceEntry);
      await source.put('b', 'other');
      await source.remove('d');
      const read = await readTogether(
        session,
        [...files, folder].map((entry) => ({ entry })),
      );
      expect(read.map(({ problem }) => problem?.code)).toEqual([
        undefined,
        'changed',
        undefined,
        'vanished',
        undefined,
        'unreadable',
      ]);
      for (const i of [0, 2, 4]) expect(read[i]?.content.toString()).toBe(`content of ${keys[i]}`);
    });

    test('reads nothing for no requests', async () => {
      expect(await readTogether(await open(), [])).toEqual([]);
    });

    test('fails a reading when the session closes, and every later reading', async () => {
      await source.put('big', Buffer.alloc(30_000_000, 'x'));
      const session = await open();
      const entry = await fileOf(session, 'big');
      const started = session.read([{ entry }]);
      const unstarted = session.read([{ entry }]);
      await started.next();
      await session.close();
      for (const frames of [started, unstarted]) {
        const rest = (async () => {
          for await (const frame of frames) for (const part of frame) if ('problem' in part) throw part.problem;
        })();
        await expect(rest).rejects.toThrow();
      }
    });

    test('ends each call with the reason of its signal, and answers later calls', async () => {
      await source.put('file', 'content');
      const session = await open();
      const entry = await fileOf(session, 'file');
      const reason = new Error('the run was cancelled');
      const signal = AbortSignal.abort(reason);
      const calls = [
        session.check({ signal }),
        session.list(null, { limit: 10, signal }),
        session.look({ key: 'file' }, { signal }),
        session.read([{ entry }], { signal }).next(),
        session.identity?.({ signal }) ?? Promise.reject(reason),
      ];
      for (const call of await Promise.allSettled(calls)) expect(call).toEqual({ status: 'rejected', reason });
      expect((await readWhole(session, await fileOf(session, 'file'))).toString()).toBe('content');
    });

    test('ends a reading at its next frame with the reason of its signal, and reads again', async () => {
      await source.put('big', Buffer.alloc(30_000_000, 'x'));
      const session = await open();
      const entry = await fileOf(session, 'big');
      const stop = new AbortController();
      const reason = new Error('the run was cancelled');
      const frames = session.read([{ entry }], { signal: stop.signal });
      await frames.next();
      stop.abort(reason);
      await expect(frames.next()).rejects.toBe(reason);
      expect((await readWhole(session, entry)).length).toBe(30_000_000);
    });

    test('reports a missing source', async () => {
      const session = await open(source.missing);
      const problem = await problemOf(session.check());
      expect(problem.code).toBe('not-found');
      expect((await problemOf(session.list(null, { limit: 10 }))).code).toBe('not-found');
      expect((await problemOf(session.look({ key: 'file' }))).code).toBe('not-found');
      expect(problem.message).not.toMatch(/undefined|\[object/);
    });

    test('rejects invalid settings and names the field', async () => {
      const unknown: TestSource['wrong'][number] = {
        config: { ...source.config, colour: 'red' },
        field: 'config.colour',
      };
      for (const { config = source.config, credentials = source.credentials, field } of [...source.wrong, unknown]) {
        const problem: unknown = await source.connector
          .open(config, credentials, source.context)
          .catch((error: unknown) => error);
        expect(problem).toBeInstanceOf(Problem);
        expect(problem).toMatchObject({ code: 'invalid-input', errors: [{ path: field }] });
      }
    });

    test('has no secret in its errors', async () => {
      const text = String(await problemOf((await open(source.missing)).check()));
      for (const secret of Object.values(source.credentials ?? {})) expect(text).not.toContain(String(secret));
    });
  });
}

export function filesOf(items: ListItem[]): SourceEntry[] {
  return items.flatMap((item) => (item.type === 'entry' && item.entry.kind === 'file' ? [item.entry] : []));
}

function keysOf(entries: SourceEntry[]): string[] {
  return entries.map(({ key }) => key).sort();
}

/** The content of the file, or of a range of it, once it is read to its end. */
export async function readWhole(
  session: SourceSession,
  entry: SourceEntry,
  range?: { offset: number; length: number },
): Promise<Buffer> {
  const pieces: Buffer[] = [];
  // A piece is valid only until the next one.
  for await (const piece of contentOf(session, entry, range)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

/** The contents of the requests, each with its problem if it has one. Checks what the connector promises of frames. */
export async function readTogether(
  session: SourceSession,
  requests: ReadRequest[],
): Promise<{ content: Buffer; problem?: SourceProblem }[]> {
  const pieces: Buffer[][] = requests.map(() => []);
  const problems = new Map<number, SourceProblem>();
  const ended = new Set<number>();
  for await (const frame of session.read(requests)) for (const part of frame) take(part);
  function take(part: Frame[number]): void {
    expect(pieces[part.index]).toBeDefined();
    expect(ended).not.toContain(part.index);
    if ('problem' in part) problems.set(part.index, part.problem);
    else pieces[part.index]?.push(Buffer.from(part.bytes));
    if ('problem' in part || part.end) ended.add(part.index);
  }
  expect(ended.size).toBe(requests.length);
  return pieces.map((own, index) => {
    const problem = problems.get(index);
    return { content: Buffer.concat(own), ...(problem && { problem }) };
  });
}

/** The SourceProblem that the promise rejects with. Any other outcome fails the test. */
export async function problemOf(promise: Promise<unknown>): Promise<SourceProblem> {
  const error: unknown = await promise.then(
    () => new Error('it did not fail'),
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'SourceProblem' });
  return error as SourceProblem;
}
