/** Searches of a manifest with several nodes, which are read one at a time. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareKeys } from '../../domain/entry.ts';
import { type Change, writeManifest } from '../../vault/manifest.ts';
import { fold } from '../../vault/names.ts';
import { distinctWords, searchKeys } from '../../vault/search.ts';
import { countTurns } from '../support/turns.ts';
import { changesOf, collect, found, impliedBy, memoryVault } from './vault-fixture.ts';

const one = { nodes: 1, bytes: Number.POSITIVE_INFINITY };
const run = { runId: 'run_1', at: '2026-02-01T00:00:00.000Z' };

/** A large folder with subfolders everywhere between its files, beside small folders. */
const keys = Array.from({ length: 30_000 }, (_, n) =>
  n % 3 === 0 ? `big/${n}/rare${n % 1000}/x` : n % 7 === 0 ? `small${n % 50}/${n}` : `big/${n}`,
);

let made: ReturnType<typeof bigVault> | undefined;

async function bigVault() {
  const vault = memoryVault();
  const put = (key: string): Change => ({ put: found(key) });
  const { root } = await writeManifest({
    ...vault,
    ...run,
    changes: changesOf([...keys.map(put), ...impliedBy(keys)]),
  });
  expect(root.nodes.length).toBeGreaterThan(2);
  const all = [...keys, ...impliedBy(keys).map((change) => ('put' in change ? change.put.key : ''))].sort(compareKeys);
  const naive = (word: string) => all.filter((key) => key.replace(/\/$/, '').includes(word));
  return { vault, root, naive };
}

describe('a search', () => {
  it.each(['rare7', '59', 'big/5', '/rare7', 'none of them'])(
    'for "%s" goes on from each key that it found or passed, in path order',
    async (word) => {
      made ??= bigVault();
      const { vault, root, naive } = await made;
      const context = { ...vault };
      const keysFound: string[] = [];
      let after: string | undefined;
      let stops = 0;
      for (let isDone = false; !isDone; ) {
        isDone = true;
        let reads = 0;
        const start = after;
        let keysHere = 0;
        for await (const step of searchKeys(context, root, [word], after, one)) {
          const at: string = 'key' in step ? step.key : step.passed;
          if (after !== undefined && compareKeys(at, after) < 0) throw new Error(`${at} comes after ${after}`);
          after = at;
          if ('key' in step) keysFound.push(at);
          else reads++;
          // Each search advances within a few reads, even without a match.
          if (reads > 4 && after === start) throw new Error(`no progress at ${at}`);
          if (after === start || (reads < 2 && keysHere++ < 700)) continue;
          isDone = false;
          stops++;
          break;
        }
      }
      expect(keysFound).toEqual(naive(word));
      expect(stops).toBeGreaterThan(0);
    },
  );

  it('reads adjacent nodes with one request, and their names with another', async () => {
    made ??= bigVault();
    const { vault, root } = await made;
    let reads = 0;
    const get: typeof vault.blobs.get = (...of) => {
      reads++;
      return vault.blobs.get(...of);
    };
    const blobs = { ...vault.blobs, get };
    const context = { ...vault, blobs };
    await collect(searchKeys(context, root, ['none']));
    expect(reads).toBe(2);
    await collect(searchKeys(context, root, ['none']));
    expect(reads).toBe(2);
  });

  it('reads 8 MiB of names with two requests, so a million entries take at most 20', async () => {
    const vault = memoryVault();
    const long = Array.from({ length: 45_000 }, (_, n) => `${String(n).padStart(7, '0')}${'x'.repeat(240)}`);
    const puts = long.map((key): Change => ({ put: found(key) }));
    const { root } = await writeManifest({ ...vault, ...run, changes: changesOf(puts) });
    const gets: string[] = [];
    const get: typeof vault.blobs.get = (key, range) => {
      gets.push(`${key} ${range?.offset}`);
      return vault.blobs.get(key, range);
    };
    await collect(searchKeys({ ...vault, blobs: { ...vault.blobs, get } }, root, ['none']));
    // 10.6 MiB of names
    expect(root.totals.files).toBe(long.length);
    expect(gets).toHaveLength(4);
  });

  it('reports its position after each limit of bytes', async () => {
    made ??= bigVault();
    const { vault, root } = await made;
    const steps = await collect(searchKeys({ ...vault }, root, ['none'], undefined, { nodes: 16, bytes: 1 }));
    expect(steps.length).toBeGreaterThanOrEqual(root.nodes.length - 1);
  });

  it('gives turns of the event loop for blocks, folders and candidates that do not match', async () => {
    made ??= bigVault();
    const { vault, root } = await made;
    const turns = (...words: string[]) => countTurns(() => collect(searchKeys(vault, root, words)));
    await turns('none');
    const blocks = await turns('none');
    expect(blocks).toBeGreaterThanOrEqual(root.nodes.length);
    // No path has the words with slashes. 10,000 paths in as many folders have their pieces.
    const folders = await turns('x/big');
    expect(folders).toBeGreaterThan(blocks + 10);
    expect(await turns('x/big', 'x/bi', 'x/rare', 'e/big')).toBeGreaterThan(folders + 5);
  });
});

it('drops words without an effect on any path', () => {
  expect(distinctWords(Array.from({ length: 500 }, () => 'e'))).toEqual(['E']);
  const word = fc.stringMatching(/^[abAé/]{1,3}$/);
  fc.assert(
    fc.property(fc.array(word), fc.stringMatching(/^[ABE/]{0,8}$/), (words, path) => {
      const matches = (all: string[]) => all.every((one) => path.includes(one));
      const distinct = distinctWords(words);
      expect(matches(distinct)).toBe(matches(words.map(fold)));
      for (const one of distinct) expect(distinct.filter((other) => other.includes(one))).toEqual([one]);
    }),
  );
});
