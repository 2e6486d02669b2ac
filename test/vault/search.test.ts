/** Searches of a manifest with several nodes, which are read one at a time. */
import { describe, expect, it } from 'vitest';
import { compareKeys } from '../../domain/entry.ts';
import { type Change, writeManifest } from '../../vault/manifest.ts';
import { searchKeys } from '../../vault/search.ts';
import { changesOf, found, impliedBy, memoryVault } from './vault-fixture.ts';

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
        for await (const step of searchKeys(context, root, [word], after, 1)) {
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
});
