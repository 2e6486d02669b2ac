/** Runs the benchmarks at 1/500 of their size. The measured numbers do not matter here. */
import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { phases } from '../../bench/contestant.ts';
import { type Corpus, corpusNames, openCorpus } from '../../bench/corpus.ts';
import { askVersion, runMeasured, watchChildren } from '../../bench/processes.ts';
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

/** The files in a tree, with their hashes. */
function hashes(tree = corpus.tree): { [path: string]: string } {
  const files = readdirSync(tree, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    paths.map((path) => [path.slice(tree.length + 1), createHash('sha256').update(readFileSync(path)).digest('hex')]),
  );
}

describe('the corpus', () => {
  it.each(corpusNames)('%s equals its list before the change, after it, and after the revert', async (name) => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'listbackup-bench-test-'));
    try {
      const { tree, base, changed, ...one } = await openCorpus(elsewhere, { name, scale });
      expect(hashes(tree)).toEqual(Object.fromEntries(base));
      await one.change();
      expect(hashes(tree)).toEqual(Object.fromEntries(changed));
      await one.revert();
      expect(hashes(tree)).toEqual(Object.fromEntries(base));
      const [gone, added] = [base, changed].map((list, i) =>
        [...list.keys()].filter((key) => ![changed, base][i]?.has(key)),
      );
      const edited = [...base].filter(([path, hash]) => changed.has(path) && changed.get(path) !== hash);
      const percent = (n: number) => Math.max(1, Math.round((base.size * n) / 100));
      expect([gone?.length, added?.length]).toEqual([percent(1), percent(1)]);
      const grown = edited.filter(([path]) => path.startsWith('large/'));
      expect(grown).toHaveLength(name === 'bench' ? 2 : 0);
      expect(edited.length - grown.length).toBe(percent(2));
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it('modules nests packages, with the names and sizes of node_modules', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'listbackup-bench-test-'));
    try {
      const { tree, base } = await openCorpus(elsewhere, { name: 'modules', scale: 0.02 });
      const paths = [...base.keys()];
      expect(paths).toHaveLength(600);
      expect(paths.some((path) => /^node_modules\/[^/]+\/node_modules\/.*package\.json$/.test(path))).toBe(true);
      const sizes = paths.map((path) => statSync(join(tree, path)).size);
      expect(Math.min(...sizes)).toBeGreaterThanOrEqual(200);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(60_000);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
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
});

const bench = (...args: string[]) =>
  promisify(execFile)('npm', ['run', '--silent', 'bench', '--', '--folder', folder, '--scale', String(scale), ...args]);

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

  it('times searches and pages on a corpus of small files', async () => {
    const { stdout } = await bench('browse', '--corpus', 'million', '--folder', join(folder, 'million'));
    const rows = [...stdout.matchAll(/^\| (.+?) \| (\d+) \|(?: \d+\.\d ms \|){4}$/gm)].map(([, ...cells]) => cells);
    expect(rows).toEqual([
      ['search for a part of a name', '1'],
      ['search for a near miss', '1'],
      ['page of the root folder', '1'],
    ]);
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

/** Uses 0.2 s of CPU time in a thread and 0.2 s in a process that ends. Says so, and waits. */
const busy = `
  const { Worker } = require('node:worker_threads');
  const burn = 'while (process.cpuUsage().user + process.cpuUsage().system < 200_000 + before);';
  require('node:child_process').execFileSync(process.execPath, ['-e', 'const before = 0;' + burn]);
  new Worker('const before = process.cpuUsage().user + process.cpuUsage().system;' + burn, { eval: true })
    .on('exit', () => { console.log('done'); if (process.argv[1] === 'stay') process.stdin.resume(); });`;

describe.runIf(process.platform === 'linux')('CPU time', () => {
  it('of a launcher covers the threads and the ended processes of its children', async () => {
    const launcher = spawn('sh', ['-c', `"$0" -e "$1" stay; true`, process.execPath, busy], { stdio: 'pipe' });
    try {
      const done = watchChildren(launcher.pid as number);
      await new Promise((resolve) => launcher.stdout.once('data', resolve));
      expect(done().cpuSeconds).toBeGreaterThanOrEqual(0.38);
    } finally {
      launcher.stdin.end();
      await new Promise((resolve) => launcher.on('exit', resolve));
    }
  });

  it('of a command covers its threads and ended processes', async (test) => {
    if ((await askVersion('true', [])) === undefined) return test.skip('GNU time is not installed');
    expect((await runMeasured(process.execPath, ['-e', busy], {})).cpuSeconds).toBeGreaterThanOrEqual(0.38);
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

  it('shows medians, half of their range and their ratios to the reference', () => {
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
      '| first | A | 2.00 ±725 % (0.50×) | 1.00 (1.00×) | 1.0 MiB (1.00×) | 0.5 KiB (1.00×) | 0.0 KiB |',
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
