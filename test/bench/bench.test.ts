/** Runs the benchmarks at 1/500 of their size. The measured numbers do not matter here. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { phases } from '../../bench/contestant.ts';
import { type Corpus, openCorpus } from '../../bench/corpus.ts';
import { askVersion } from '../../bench/processes.ts';
import { median, type Result, table } from '../../bench/report.ts';
import { type StoreResult, storeTable } from '../../bench/store.ts';
import { compareLists } from '../../bench/verify.ts';

const scale = 0.002;
const folder = mkdtempSync(join(tmpdir(), 'listbackup-bench-test-'));
let corpus: Corpus;
beforeAll(async () => {
  corpus = await openCorpus(folder, { scale });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** The files in the tree, with their hashes. */
function hashes(): { [path: string]: string } {
  const files = readdirSync(corpus.tree, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    paths.map((path) => [
      path.slice(corpus.tree.length + 1),
      createHash('sha256').update(readFileSync(path)).digest('hex'),
    ]),
  );
}

describe('the corpus', () => {
  it('equals its list before the change, after it, and after the revert', async () => {
    expect(hashes()).toEqual(Object.fromEntries(corpus.base));
    await corpus.change();
    expect(hashes()).toEqual(Object.fromEntries(corpus.changed));
    await corpus.revert();
    expect(hashes()).toEqual(Object.fromEntries(corpus.base));
  });

  it('is the same for the same seed, and different for another seed', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'listbackup-bench-test-'));
    try {
      expect((await openCorpus(elsewhere, { scale })).base).toEqual(corpus.base);
      expect((await openCorpus(elsewhere, { scale, seed: '2' })).base).not.toEqual(corpus.base);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it('is restored when opened after an interrupted benchmark', async () => {
    await corpus.change();
    corpus = await openCorpus(folder, { scale });
    expect(hashes()).toEqual(Object.fromEntries(corpus.base));
  });

  it('edits, deletes, creates and grows files', () => {
    const [before, after] = [corpus.base, corpus.changed];
    const gone = [...before.keys()].filter((path) => !after.has(path));
    const other = [...before]
      .filter(([path, hash]) => after.has(path) && after.get(path) !== hash)
      .map(([path]) => path);
    expect(gone).toHaveLength(1);
    expect([...after.keys()].filter((path) => !before.has(path))).toHaveLength(1);
    expect(other.filter((path) => path.endsWith('.json'))).toHaveLength(1);
    expect(other.filter((path) => path.startsWith('large/'))).toHaveLength(2);
  });
});

const bench = (...args: string[]) =>
  promisify(execFile)('npm', ['run', '--silent', 'bench', '--', ...args, '--folder', folder, '--scale', String(scale)]);

describe.runIf(process.platform === 'linux')('the command', () => {
  it('measures every phase', async () => {
    const json = join(folder, 'results.json');
    const { stdout } = await bench(
      'run',
      '--tools',
      'listbackup',
      '--rounds',
      '1',
      '--warm-up',
      '0',
      '--no-requests',
      '--json',
      json,
    );
    expect(stdout).toContain('| again, changed | ListBackup |');
    const [result] = JSON.parse(readFileSync(json, 'utf8')).results as Result[];
    const [round] = result?.rounds ?? [];
    for (const phase of phases) {
      expect(round?.[phase].wallSeconds).toBeGreaterThan(0);
      // CPU time has a resolution of 10 ms, so an unchanged tree may take 0
      if (phase === 'unchanged') expect(round?.[phase].cpuSeconds).toBeGreaterThanOrEqual(0);
      else expect(round?.[phase].cpuSeconds).toBeGreaterThan(0);
      expect(round?.[phase].peakBytes).toBeGreaterThan(10 * 1024 * 1024);
      expect(round?.[phase].besideBytes).toBeGreaterThan(0);
    }
    const [first = 0, unchanged = 0, changed = 0] = phases.map((phase) => round?.[phase].storedBytes);
    // Random bytes do not compress: 5 of the 10 MiB, and at least 4 KiB of the change
    expect(first).toBeGreaterThan(5 * 1024 * 1024);
    expect(changed).toBeGreaterThan(4 * 1024);
    expect(changed).toBeLessThan(first);
    expect(unchanged).toBeLessThan(changed);
    expect(hashes(), 'as made').toEqual(Object.fromEntries(corpus.base));
  });

  it('counts the requests of a backup to a bucket', async () => {
    const { stdout } = await bench('requests', '--tools', 'listbackup');
    const counts = [...stdout.matchAll(/^\| (.+) \| ListBackup \| (\d+) \| \d+ \| \d+ \| (\d+) \|$/gm)];
    // 22 files fit into fewer than ten objects, and an unchanged tree adds none. Its two writes are listings, which
    // find
    // lost packs. S3 prices a listing as a write.
    const [first, unchanged, changed] = counts.map(([, , writes, bytes]) => ({
      writes: Number(writes),
      bytes: Number(bytes),
    }));
    expect(first?.writes).toBeLessThan(10);
    expect(first?.bytes).toBeGreaterThan(5 * 1024 * 1024);
    expect(unchanged).toEqual({ writes: 2, bytes: 0 });
    expect(changed?.bytes).toBeGreaterThan(4 * 1024);
  });

  it('measures the event store without emmett-sqlite', async () => {
    const json = join(folder, 'stores.json');
    const { stdout } = await bench('store', '--tools', 'listbackup', '--rounds', '2', '--warm-up', '0', '--json', json);
    expect(stdout).toContain('| durable appends, 64 at once | ');
    const results = JSON.parse(readFileSync(json, 'utf8')).results as StoreResult[];
    expect(results).toMatchObject([{ name: 'ListBackup', durability: expect.stringMatching(/^wal, synchronous 2, /) }]);
    expect(results[0]?.rounds).toHaveLength(2);
    for (const { perSecond, cpuMicroseconds } of results.flatMap(({ rounds }) =>
      rounds.flatMap((round) => Object.values(round)),
    )) {
      expect(perSecond).toBeGreaterThan(0);
      expect(cpuMicroseconds).toBeGreaterThan(0);
    }
  });

  it('verifies the files, and ends with 1 if one differs from the list', async () => {
    const [path = '', hash = ''] = [...corpus.base][3] ?? [];
    const wrong = [...corpus.base]
      .map(([name, right]) => `${name === path ? '0'.repeat(64) : right}  ${name}\n`)
      .join('');
    writeFileSync(join(folder, 'base.sha256'), wrong);
    const ended = await bench('verify').catch((error: { code: number; stdout: string }) => error);
    expect(ended).toMatchObject({ code: 1 });
    // All files of the first run. Of the second run 2 small and 2 large files, and the one with the wrong hash.
    const [all, again] = [corpus.base.size, corpus.changed.size];
    const lines = ended.stdout.trim().split('\n').slice(-3);
    expect(lines).toEqual([
      `✗ ${path}: listed with sha256 ${hash}`,
      `✗ ${path}: downloaded with sha256 ${hash}`,
      expect.stringMatching(new RegExp(`^${all + again} listed, ${all + 5} downloaded \\(\\d+ bytes\\), 2 wrong$`)),
    ]);
  });
});

describe('a contestant', () => {
  it('has no version if it is not installed', async () => {
    expect(await askVersion('no-tool-of-this-name', ['--version'])).toBeUndefined();
  });
});

describe('the report', () => {
  it('lists every difference between the listing and the corpus', () => {
    const expected = new Map([
      ['same', 'a'],
      ['other', 'b'],
      ['missing', 'c'],
    ]);
    const listed = [
      { path: 'same', sha256: 'a' },
      { path: 'same', sha256: 'a' },
      { path: 'other', sha256: 'x' },
      { path: 'unknown', sha256: 'd' },
    ];
    expect(compareLists(listed, expected)).toEqual([
      'same: listed twice',
      'other: listed with sha256 x',
      'unknown: listed, but not in the corpus',
      'missing: not listed',
    ]);
  });

  it('shows medians and their ratios to the reference', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
    const measure = (wallSeconds: number) => ({
      wallSeconds,
      cpuSeconds: 1,
      peakBytes: 2 ** 20,
      storedBytes: 512,
      besideBytes: 0,
    });
    const round = (wallSeconds: number) => ({
      first: measure(wallSeconds),
      unchanged: measure(1),
      changed: measure(1),
    });
    const results = [
      { name: 'A', version: '', settings: '', rounds: [round(1), round(30), round(2)] },
      { name: 'B', version: '', settings: '', rounds: [round(4), round(4), round(4)] },
    ];
    expect(table(results, 'B').split('\n').slice(2, 4)).toEqual([
      '| first | A | 2.00 (0.50×) | 1.00 (1.00×) | 1.0 MiB (1.00×) | 0.5 KiB (1.00×) | 0.0 KiB |',
      '| first | B | 4.00 | 1.00 | 1.0 MiB | 0.5 KiB | 0.0 KiB |',
    ]);
  });

  it('shows medians of event stores and their ratios to ours', () => {
    const round = (perSecond: number) => {
      const rate = { perSecond, cpuMicroseconds: perSecond / 10 };
      return {
        append1: rate,
        append64: rate,
        append512: rate,
        command64: rate,
        load: rate,
        replay: rate,
        replayOpened: rate,
      };
    };
    const result = (name: string, ...rates: number[]): StoreResult => ({
      name,
      settings: '',
      durability: '',
      rounds: rates.map(round),
    });
    expect(storeTable([result('A', 900, 1000, 90_000), result('B', 250)]).split('\n')[2]).toBe(
      '| durable appends, one after another | 1,000, 100.0 µs | 250 (0.25×), 25.0 µs |',
    );
  });
});
