import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pageAfter, positionAfter, type SourceSession } from '../../../connectors/connector.ts';
import { compareEntries, impliedEntry, keyOf, type ListItem, parentOf } from '../../../domain/entry.ts';
import {
  type ItemPage,
  type ListPosition,
  type ListTools,
  listInOrder,
  listingStart,
} from '../../../processors/backup/list-in-order.ts';
import { memoryBlobs } from '../../support/memory-ports.ts';
import { collect, countingRandom, noise, keys as vaultKeys } from '../../vault/vault-fixture.ts';

const folder = 'work/acc/run/';

function tools(page: number, sortItems: number) {
  return { blobs: memoryBlobs(), keys: vaultKeys, folder, random: countingRandom(), page, sortItems };
}

function listed(key: string, revision = 'r1'): ListItem {
  const kind = key.endsWith('/') ? 'folder' : 'file';
  return { type: 'entry', entry: { key, kind, size: 1, modifiedAt: null, revision } };
}

/** A session that lists these items, in pages whose sizes repeat. The limit still holds. */
function sessionOf(
  items: ListItem[],
  sizes: number[] = [1000],
  since: string | null = null,
): Pick<SourceSession, 'list'> {
  return {
    async list(page, { limit }) {
      const { parent: number, key: from } = page === null ? { parent: 0, key: 0 } : positionAfter(page);
      const to = Number(from) + Math.min(limit, sizes[Number(number) % sizes.length] as number);
      const isLast = to >= items.length;
      // Copies, as from a source: nobody may rely on changes that the consumer makes.
      const copy = structuredClone(items.slice(Number(from), to));
      const next = isLast ? null : pageAfter({ parent: `${Number(number) + 1}`, key: `${to}` });
      return { items: copy, page: next, since: isLast ? since : null };
    },
  };
}

function pages(session: Pick<SourceSession, 'list'>, with_: ListTools, from: ListPosition = listingStart) {
  return collect(listInOrder(session, 'any', from, with_));
}

const itemsOf = (all: ItemPage[]) => all.flatMap(({ items }) => items);

/** The sorted listing, by looking up each key. */
function expected(items: ListItem[]): ListItem[] {
  const all = new Map(items.map((item) => [keyOf(item), item]));
  for (const key of [...all.keys()])
    for (let at = parentOf(key); at !== ''; at = parentOf(at))
      if (!all.has(at)) all.set(at, { type: 'entry', entry: impliedEntry(at) });
  return [...all.values()].sort((a, b) => compareEntries(keyOf(a), keyOf(b)));
}

/** Names that sort before, at and after `/`, empty names, and names that are not ASCII or not UTF-8. */
const part = fc.constantFrom('', 'a', 'a!', 'a0', 'b', 'é', '\uffff', '😀', '\udcff');
const key = fc
  .tuple(fc.array(part, { maxLength: 3 }), part, fc.constantFrom('', '/'))
  .map(([parents, name, end]) => `${[...parents, name].join('/')}${end}`)
  .filter((text) => text !== '');
const item = fc
  .tuple(key, fc.constantFrom('entry', 'entry', 'entry', 'skipped', 'failed', 'failed with entry'))
  .map(([key, type]): ListItem => {
    const refusal = { key, code: 'some', message: 'Some.' };
    if (type === 'skipped' || type === 'failed') return { type, refusal };
    const { entry } = listed(key) as { entry: ReturnType<typeof impliedEntry> };
    return type === 'entry' ? { type, entry } : { type: 'failed', refusal, entry };
  });
const listing = fc.uniqueArray(item, { selector: keyOf, maxLength: 40 });
const sizes = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: 3 }).map((all) => [...all, 3]);
const cursor = fc.constantFrom(null, 'cursor');
const small = fc.integer({ min: 1, max: 12 });

describe('listing a source of any order', () => {
  it('yields all items and missing folders once, sorted, in pages of the given size', async () => {
    await fc.assert(
      fc.asyncProperty(listing, sizes, small, small, cursor, async (items, sizes, page, sortItems, since) => {
        const all = await pages(sessionOf(items, sizes, since), tools(page, sortItems));
        expect(itemsOf(all)).toEqual(expected(items));
        for (const { items } of all) expect(items.length).toBeLessThanOrEqual(page);
        expect(all.map(({ done }) => done)).toEqual([...all.slice(1).map(() => false), true]);
        expect(all.at(-1)?.position).toMatchObject({ since });
      }),
      { numRuns: 300 },
    );
  });

  it('lists the same rest from the position of each page, with a new generator', async () => {
    await fc.assert(
      fc.asyncProperty(listing, sizes, small, small, async (items, sizes, page, sortItems) => {
        const session = sessionOf(items, sizes);
        const with_ = tools(page, sortItems);
        const all = await pages(session, with_);
        for (const [i, { position, done }] of all.entries()) {
          if (done) continue;
          const rest = await pages(session, with_, JSON.parse(JSON.stringify(position)) as ListPosition);
          expect(itemsOf(rest)).toEqual(itemsOf(all.slice(i + 1)));
        }
      }),
      { numRuns: 150 },
    );
  });

  it('goes on with the same listing, whatever changes meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(
        listing,
        listing,
        sizes,
        small,
        small,
        cursor,
        async (items, later, sizes, page, sortItems, since) => {
          const with_ = tools(page, sortItems);
          const whole = await pages(sessionOf(items, [1000], since), tools(page, 1000));
          const found: ListItem[] = [];
          let position: ListPosition = listingStart;
          for await (const next of listInOrder(sessionOf(items, [1000], since), 'any', position, with_)) {
            found.push(...next.items);
            position = next.position;
            if (next.done) return;
            if (next.items.length > 0) break;
          }
          const rest = await pages(sessionOf(later, sizes, 'other'), with_, position);
          expect([...found, ...itemsOf(rest)]).toEqual(itemsOf(whole));
          expect(rest.at(-1)?.position.since).toBe(since);
        },
      ),
      { numRuns: 150 },
    );
  });

  it('lists each item once when it stops after each page and goes on from its position', async () => {
    await fc.assert(
      fc.asyncProperty(listing, sizes, small, small, async (items, sizes, page, sortItems) => {
        const session = sessionOf(items, sizes) as SourceSession;
        const with_ = tools(page, sortItems);
        const found: ListItem[] = [];
        let position: ListPosition = listingStart;
        for (let isDone = false; !isDone; ) {
          for await (const next of listInOrder(session, 'any', position, with_)) {
            found.push(...next.items);
            position = next.position;
            isDone = next.done;
            break;
          }
        }
        expect(found).toEqual(expected(items));
      }),
      { numRuns: 150 },
    );
  });

  it('stores the folders that one page implies in pieces that fit in memory', async () => {
    const items = Array.from({ length: 50 }, (_, i) => listed(`${i}/${'/'.repeat(30)}x`));
    const all = await pages(sessionOf(items), tools(1000, 100));
    expect(itemsOf(all)).toEqual(expected(items));
    // Each key has 32 items, so a piece has at most 131 of 1,600.
    expect(all[0]?.position.pieces.length).toBeGreaterThan(1600 / 132);
  });

  it('lists a folder that the source lists as that folder, wherever it comes in the listing', async () => {
    for (const names of [
      ['a/x', 'a/y', 'a/'],
      ['a/', 'a/x', 'a/y'],
      ['a/x', 'a/', 'a/y'],
    ])
      for (const sortItems of [1, 2, 3, 100]) {
        const found = itemsOf(
          await pages(
            sessionOf(
              names.map((name) => listed(name)),
              [1],
            ),
            tools(10, sortItems),
          ),
        );
        expect(found).toEqual([listed('a/'), listed('a/x'), listed('a/y')]);
      }
  });

  it('lists the item of an unlisted folder after the folder, where its entries would be', async () => {
    const unlisted: ListItem = { type: 'unlisted', refusal: { key: 'b/', code: 'unreadable', message: '' } };
    for (const sortItems of [1, 100]) {
      const items = [unlisted, listed('c/x'), listed('b/'), listed('a/x')];
      const found = itemsOf(await pages(sessionOf(items, [1]), tools(2, sortItems)));
      expect(found.map((item) => `${item.type} ${keyOf(item)}`)).toEqual([
        ...['entry a/', 'entry b/', 'entry c/', 'entry a/x', 'unlisted b/', 'entry c/x'],
      ]);
    }
  });

  it('yields one empty page for an empty source', async () => {
    const all = await pages(sessionOf([]), tools(10, 10));
    expect(all).toMatchObject([{ items: [], done: true }]);
  });

  it('stores no blobs for one page, and only encrypted ones for more', async () => {
    const items = Array.from({ length: 1000 }, (_, i) => listed(`secret ${(i * 7919) % 1000}`));
    for (const [page, stored] of [
      [1000, 0],
      [999, 1],
    ] as const) {
      const enough = tools(page, 1001);
      expect(itemsOf(await pages(sessionOf(items), enough))).toEqual(expected(items));
      expect(enough.blobs.puts).toHaveLength(stored);
    }
    const few = tools(100, 300);
    expect(itemsOf(await pages(sessionOf(items), few))).toEqual(expected(items));
    expect(few.blobs.puts.length).toBe(4);
    expect(few.blobs.puts.every((name) => name.startsWith(folder))).toBe(true);
    for (const bytes of few.blobs.stored.values()) expect(Buffer.from(bytes).includes('secret')).toBe(false);
  });

  it('reads pieces of many frames that are larger than one read', async () => {
    const items = Array.from({ length: 3000 }, (_, i) =>
      listed(`${(i * 7919) % 3000}/${Buffer.from(noise(600, i)).toString('hex')}`),
    );
    const with_ = tools(1000, 2000);
    expect(itemsOf(await pages(sessionOf(items), with_))).toEqual(expected(items));
    expect(Math.max(...[...with_.blobs.stored.values()].map(({ length }) => length))).toBeGreaterThan(300_000);
  });

  it('rejects a piece that is missing or ends after a frame', async () => {
    const items = Array.from({ length: 600 }, (_, i) => listed(`${i}`));
    const endOfFirstFrame = (bytes: Uint8Array) => 4 + Buffer.from(bytes).readUInt32BE();
    for (const lengthOf of [() => 0, endOfFirstFrame]) {
      const with_ = tools(100, 600);
      const { blobs } = with_;
      const get: typeof blobs.get = async (name, range) => {
        const { offset = 0, length = 0 } = range ?? {};
        const bytes = (await blobs.get(name)) ?? new Uint8Array();
        return bytes.subarray(0, lengthOf(bytes)).subarray(offset, offset + length);
      };
      await expect(pages(sessionOf(items), { ...with_, blobs: { ...blobs, get } })).rejects.toThrow(/missing or/);
    }
  });

  it('rejects a piece that is damaged or truncated', async () => {
    const items = Array.from({ length: 20 }, (_, i) => listed(`${i}`));
    for (const damage of [(bytes: Uint8Array) => bytes.slice(0, -1), (bytes: Uint8Array) => bytes.fill(1, 50, 51)]) {
      const with_ = tools(5, 5);
      const { blobs } = with_;
      const put: typeof blobs.put = async (name, body) => blobs.put(name, damage(Uint8Array.from(body as Uint8Array)));
      await expect(pages(sessionOf(items), { ...with_, blobs: { ...blobs, put } })).rejects.toThrow();
    }
  });
});

describe('listing a source in the order of entries', () => {
  it('passes the pages on as they come, and goes on from each position', async () => {
    const items = Array.from({ length: 20 }, (_, i) => listed(`${String(i).padStart(2, '0')}`));
    const session = sessionOf(items) as SourceSession;
    const with_ = tools(6, 1);
    const all = await collect(listInOrder(session, 'entries', listingStart, with_));
    expect(all.map(({ items, done }) => [items.length, done])).toEqual([
      [6, false],
      [6, false],
      [6, false],
      [2, true],
    ]);
    expect(itemsOf(all)).toEqual(items);
    expect(with_.blobs.puts).toEqual([]);
    for (const [i, { position, done }] of all.entries())
      if (!done)
        expect(itemsOf(await collect(listInOrder(session, 'entries', position, with_)))).toEqual(
          itemsOf(all.slice(i + 1)),
        );
  });
});
