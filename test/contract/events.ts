/** The contract of the port EventStore. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { streamName } from '../../domain/event.ts';
import type { EventStore, LedgerEntry, LedgerQuery, StoredCommit } from '../../domain/ports.ts';
import { eventWalkPromises } from './events-walk.ts';
import { eventually } from './eventually.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

const start = Date.UTC(2026, 0, 1);
const freshStream = (account = fresh('acc')) => streamName(account, 'job', fresh('job'));
const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');
const timeOf = (step: number) => new Date(start + step * 1000).toISOString();

function commit(stream: string, version: number, more: Partial<StoredCommit> = {}): StoredCommit {
  return {
    stream,
    version,
    at: timeOf(version),
    prevHash: version === 1 ? '0'.repeat(64) : hashOf(`${stream}:${version - 1}`),
    hash: hashOf(`${stream}:${version}`),
    body: { bytes: new TextEncoder().encode(`commit ${version} of ${stream}`) },
    ...more,
  };
}

async function fill(port: EventStore, stream: string, versions: number): Promise<StoredCommit[]> {
  const commits = upTo(versions).map((version) => commit(stream, version));
  for (const sent of commits) assert.equal(await port.append(sent), 'appended');
  return commits;
}

/** Waits until the ledger has this many entries, then queries it. */
async function ledgerOf(
  port: EventStore,
  account: string,
  entries: number,
  query?: Partial<LedgerQuery>,
): Promise<LedgerEntry[]> {
  await eventually(async () => {
    const all = await port.ledger(account, { order: 'asc', limit: 1000 });
    assert.ok(all.length >= entries, `the ledger has ${all.length} of ${entries} entries`);
  });
  return port.ledger(account, { order: 'asc', limit: 1000, ...query });
}

/** Appends five commits to one stream, a second apart, and returns the sequence numbers that the query finds. */
async function queried(port: EventStore, query: Partial<LedgerQuery>): Promise<number[]> {
  const account = fresh('acc');
  await fill(port, freshStream(account), 5);
  return (await ledgerOf(port, account, 5, query)).map((entry) => entry.seq);
}

const forgetting = (...fields: (keyof LedgerQuery)[]) => {
  return (port: EventStore): EventStore => ({
    ...port,
    ledger: (account, query) =>
      port.ledger(account, {
        ...Object.fromEntries(Object.entries(query).filter(([k]) => !fields.includes(k as keyof LedgerQuery))),
        order: query.order,
        limit: fields.includes('limit') ? 1000 : query.limit,
      }),
  });
};

export const eventPromises: PortPromise<EventStore>[] = [
  {
    promise: 'returns a commit byte for byte, right after the append',
    async check(port) {
      const stream = freshStream();
      const bytes = Uint8Array.from([0xff, 0xfe, 0x00, 0xc3, 0x28, ...upTo(255), 0x80]);
      const sent = commit(stream, 1, { body: { bytes } });
      await port.append(sent);
      for (const found of [
        (await port.load(stream))[0],
        await port.last(stream),
        (await port.getMany([{ stream, version: 1 }]))[0],
      ]) {
        assert.ok(found);
        assert.ok('bytes' in found.body);
        assert.deepEqual([...found.body.bytes], [...bytes]);
        assert.deepEqual({ ...found, body: null }, { ...sent, body: null });
      }
    },
    broken: (port) => ({
      ...port,
      load: async (...query) =>
        (await port.load(...query)).map((each) =>
          'bytes' in each.body
            ? { ...each, body: { bytes: new TextEncoder().encode(new TextDecoder().decode(each.body.bytes)) } }
            : each,
        ),
    }),
  },
  {
    promise: 'returns the blob and hash of a commit whose bytes are in a blob',
    async check(port) {
      const stream = freshStream();
      const body = { blob: `activity/${fresh('blob')}`, bytesHash: hashOf(stream) };
      await port.append(commit(stream, 1, { body }));
      assert.deepEqual((await port.last(stream))?.body, body);
      assert.deepEqual((await port.load(stream))[0]?.body, body);
    },
    broken: (port) => ({
      ...port,
      last: async (stream) => {
        const found = await port.last(stream);
        return found && { ...found, body: { bytes: new Uint8Array() } };
      },
    }),
  },
  {
    promise: 'appends exactly one of 20 concurrent commits at one version, and returns that one',
    async check(port) {
      const stream = freshStream();
      const candidates = upTo(20).map((n) => commit(stream, 1, { hash: hashOf(`${stream}:concurrent ${n}`) }));
      const outcomes = await Promise.all(candidates.map((candidate) => port.append(candidate)));
      assert.equal(outcomes.filter((outcome) => outcome === 'appended').length, 1);
      const winner = candidates[outcomes.indexOf('appended')];
      assert.deepEqual(
        (await port.load(stream)).map((each) => each.hash),
        [winner?.hash],
      );
    },
    broken: (port) => ({
      ...port,
      append: async (each) => {
        await port.append(each);
        return 'appended';
      },
    }),
  },
  {
    promise: 'changes neither stream nor ledger on a conflict',
    async check(port) {
      const account = fresh('acc');
      const stream = freshStream(account);
      const commits = await fill(port, stream, 3);
      assert.equal(await port.append(commit(stream, 2, { hash: hashOf('late') })), 'conflict');
      assert.equal(await port.append(commit(stream, 3, { hash: hashOf('late') })), 'conflict');
      assert.deepEqual(
        await hashes(port.load(stream)),
        commits.map((each) => each.hash),
      );
      assert.deepEqual(
        await hashes(ledgerOf(port, account, 3)),
        commits.map((each) => each.hash),
      );
    },
    broken: (port) => {
      const late = new Map<string, StoredCommit>();
      return {
        ...port,
        append: async (each) => {
          const outcome = await port.append(each);
          if (outcome === 'conflict') late.set(`${each.stream}:${each.version}`, each);
          return outcome;
        },
        load: async (...query) =>
          (await port.load(...query)).map((each) => late.get(`${each.stream}:${each.version}`) ?? each),
      };
    },
  },
  {
    promise: 'loads a stream in order of versions, also beyond the tenth',
    async check(port) {
      const stream = freshStream();
      await fill(port, stream, 12);
      assert.deepEqual(await versions(port.load(stream)), upTo(12));
    },
    broken: (port) => ({
      ...port,
      load: async (...query) => (await port.load(...query)).sort((a, b) => (`${a.version}` < `${b.version}` ? -1 : 1)),
    }),
  },
  {
    promise: 'loads from the given version',
    async check(port) {
      const stream = freshStream();
      await fill(port, stream, 5);
      assert.deepEqual(await versions(port.load(stream, { from: 3 })), [3, 4, 5]);
      assert.deepEqual(await versions(port.load(stream, { from: 6 })), []);
    },
    broken: (port) => ({ ...port, load: (stream, options) => port.load(stream, { ...options, from: 1 }) }),
  },
  {
    promise: 'loads at most the given limit',
    async check(port) {
      const stream = freshStream();
      await fill(port, stream, 5);
      assert.deepEqual(await versions(port.load(stream, { from: 2, limit: 2 })), [2, 3]);
    },
    broken: (port) => ({
      ...port,
      load: (stream, options) => port.load(stream, options?.from === undefined ? {} : { from: options.from }),
    }),
  },
  {
    promise: 'loads all commits up to a known version, right after the append',
    async check(port) {
      const stream = freshStream();
      const sent = await fill(port, stream, 12);
      const versions = async (options: Parameters<EventStore['load']>[1]) =>
        (await port.load(stream, options)).map(({ version }) => version);
      assert.deepEqual(
        (await port.load(stream, { known: 12 })).map(({ hash }) => hash),
        sent.map(({ hash }) => hash),
      );
      assert.deepEqual(await versions({ from: 3, limit: 4, known: 12 }), [3, 4, 5, 6]);
      assert.deepEqual((await versions({ from: 7, known: 8 })).slice(0, 2), [7, 8]);
      assert.deepEqual(await versions({ from: 13, known: 12 }), []);
    },
    broken: (port) => ({
      ...port,
      load: async (stream, options) =>
        (await port.load(stream, options)).filter(({ version }) => version !== options?.known),
    }),
  },
  {
    promise: 'loads a whole stream of many megabytes without a limit',
    async check(port) {
      const stream = freshStream();
      const bytes = new Uint8Array(60_000).fill(0xfe);
      for (const version of upTo(20)) await port.append(commit(stream, version, { body: { bytes } }));
      const loaded = await port.load(stream);
      assert.deepEqual(
        loaded.map((each) => each.version),
        upTo(20),
      );
      assert.ok(loaded.every((each) => 'bytes' in each.body && each.body.bytes.length === 60_000));
    },
    broken: (port) => ({ ...port, load: async (...query) => (await port.load(...query)).slice(0, 17) }),
  },
  {
    promise: 'returns the newest commit right after its append, and undefined for an empty stream',
    async check(port) {
      const stream = freshStream();
      assert.equal(await port.last(stream), undefined);
      assert.deepEqual(await port.load(stream), []);
      for (const version of upTo(11)) {
        await port.append(commit(stream, version));
        assert.equal((await port.last(stream))?.version, version);
      }
    },
    broken: (port) => ({ ...port, last: async (stream) => (await port.load(stream, { limit: 1 }))[0] }),
  },
  {
    promise: 'gets all existing commits of many keys, also more than a hundred',
    async check(port) {
      const streams = upTo(6).map(() => freshStream());
      await Promise.all(streams.map((stream) => fill(port, stream, 20)));
      const keys = streams.flatMap((stream) => upTo(21).map((version) => ({ stream, version })));
      const found = (await port.getMany(keys)).map((each) => `${each.stream}:${each.version}`);
      const expected = keys.filter((key) => key.version <= 20).map((key) => `${key.stream}:${key.version}`);
      assert.deepEqual(found.sort(), expected.sort());
      assert.deepEqual(await port.getMany([]), []);
    },
    broken: (port) => ({ ...port, getMany: (keys) => port.getMany(keys.slice(0, 100)) }),
  },
  {
    promise: 'separates a stream from another whose name begins with the same text',
    async check(port) {
      const stream = freshStream();
      await fill(port, stream, 1);
      await fill(port, `${stream}0`, 3);
      assert.deepEqual(await versions(port.load(stream)), [1]);
      assert.equal((await port.last(stream))?.version, 1);
    },
    broken: (port) => ({ ...port, last: (stream) => port.last(`${stream}0`) }),
  },
  {
    promise:
      'numbers the ledger from 1 without gaps, each commit once and each stream in order, with concurrent appends',
    async check(port) {
      const account = fresh('acc');
      const streams = upTo(8).map(() => freshStream(account));
      await Promise.all(streams.map((stream) => fill(port, stream, 5)));
      const entries = await ledgerOf(port, account, 40);
      assert.deepEqual(
        entries.map((entry) => entry.seq),
        upTo(40),
      );
      for (const stream of streams) {
        const own = entries.filter((entry) => entry.stream === stream);
        assert.deepEqual(
          own.map((entry) => entry.version),
          upTo(5),
        );
        assert.deepEqual(
          own.map((entry) => entry.hash),
          upTo(5).map((version) => hashOf(`${stream}:${version}`)),
        );
      }
    },
    broken: (port) => ({
      ...port,
      ledger: async (...query) =>
        (await port.ledger(...query)).map((entry) =>
          entry.seq === 7 ? { ...entry, version: entry.version + 1 } : entry,
        ),
    }),
  },
  {
    promise: "gives a ledger entry the later of its commit's time and the time of the entry before",
    async check(port) {
      const account = fresh('acc');
      for (const step of [10, 4, 12, 11]) {
        await port.append(commit(freshStream(account), 1, { at: timeOf(step) }));
        await ledgerOf(port, account, 1);
      }
      const entries = await ledgerOf(port, account, 4);
      const own = new Map((await port.getMany(entries)).map((each) => [each.stream, each.at]));
      let before = '';
      for (const entry of entries) {
        const at = own.get(entry.stream) ?? '';
        assert.equal(entry.at, at > before ? at : before);
        before = entry.at;
      }
    },
    broken: (port) => {
      const times = new Map<string, string>();
      return {
        ...port,
        append: (each) => {
          times.set(each.stream, each.at);
          return port.append(each);
        },
        ledger: async (...query) =>
          (await port.ledger(...query)).map((entry) => ({ ...entry, at: times.get(entry.stream) ?? entry.at })),
      };
    },
  },
  {
    promise: 'returns ledger entries after a sequence number without that entry',
    check: async (port) => assert.deepEqual(await queried(port, { afterSeq: 2 }), [3, 4, 5]),
    broken: forgetting('afterSeq'),
  },
  {
    promise: 'returns ledger entries before a sequence number without that entry',
    check: async (port) => assert.deepEqual(await queried(port, { afterSeq: 1, beforeSeq: 4 }), [2, 3]),
    broken: forgetting('beforeSeq'),
  },
  {
    promise: 'returns ledger entries from a time on, with that millisecond',
    check: async (port) => {
      assert.deepEqual(await queried(port, { fromTime: timeOf(3) }), [3, 4, 5]);
      assert.deepEqual(await queried(port, { fromTime: timeOf(3), order: 'desc', limit: 2 }), [5, 4]);
      assert.deepEqual(await queried(port, { fromTime: timeOf(2), afterSeq: 3 }), [4, 5]);
      assert.deepEqual(await queried(port, { fromTime: timeOf(9) }), []);
    },
    broken: forgetting('fromTime'),
  },
  {
    promise: 'returns the ledger backwards within its bounds',
    check: async (port) => {
      assert.deepEqual(await queried(port, { order: 'desc', beforeSeq: 5, afterSeq: 1 }), [4, 3, 2]);
      assert.deepEqual(await queried(port, { order: 'desc', limit: 2 }), [5, 4]);
    },
    broken: (port) => ({ ...port, ledger: (account, query) => port.ledger(account, { ...query, order: 'asc' }) }),
  },
  {
    promise: 'returns at most the limit of ledger entries',
    check: async (port) => assert.deepEqual(await queried(port, { limit: 2 }), [1, 2]),
    broken: forgetting('limit'),
  },
  {
    promise: 'keeps the ledgers of accounts separate',
    async check(port) {
      const [one, other] = [fresh('acc'), fresh('acc')];
      await fill(port, freshStream(one), 2);
      await fill(port, freshStream(other), 3);
      await ledgerOf(port, other, 3);
      const entries = await ledgerOf(port, one, 2);
      assert.deepEqual(
        entries.map((entry) => entry.stream.split('/')[0]),
        [one, one],
      );
      assert.deepEqual(await port.ledger(fresh('acc'), { order: 'asc', limit: 10 }), []);
    },
    broken: (port) => {
      const accounts = new Set<string>();
      return {
        ...port,
        append: (each) => {
          accounts.add(each.stream.split('/')[0] ?? '');
          return port.append(each);
        },
        ledger: async (_, query) =>
          (await Promise.all([...accounts].map((account) => port.ledger(account, query)))).flat(),
      };
    },
  },
  ...eventWalkPromises,
];

async function versions(items: Promise<{ version: number }[]>): Promise<number[]> {
  return (await items).map((item) => item.version);
}

async function hashes(items: Promise<{ hash: string }[]>): Promise<string[]> {
  return (await items).map((item) => item.hash);
}
