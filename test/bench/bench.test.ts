/** The benchmark does what it says, at a five-hundredth of its size; its numbers are nobody's business here. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { phases } from '../../bench/contestant.ts';
import { type Corpus, openCorpus } from '../../bench/corpus.ts';
import { listbackup } from '../../bench/listbackup.ts';
import { askVersion } from '../../bench/processes.ts';
import { median, table } from '../../bench/report.ts';
import { compareLists, verify } from '../../bench/verify.ts';

const scale = 0.002;
const folder = mkdtempSync(join(tmpdir(), 'listbackup-bench-test-'));
let corpus: Corpus;
beforeAll(async () => {
  corpus = await openCorpus(folder, { scale });
});
afterAll(() => rmSync(folder, { recursive: true }));

/** What really lies in the tree. */
function hashes(): { [path: string]: string } {
  const files = readdirSync(corpus.tree, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name));
  return Object.fromEntries(
    paths.map((path) => [path.slice(corpus.tree.length + 1), createHash('sha256').update(readFileSync(path)).digest('hex')]),
  );
}

describe('the corpus', () => {
  it('is what its list says, before, after and again before the change', async () => {
    expect(hashes()).toEqual(Object.fromEntries(corpus.base));
    await corpus.change();
    expect(hashes()).toEqual(Object.fromEntries(corpus.changed));
    await corpus.revert();
    expect(hashes()).toEqual(Object.fromEntries(corpus.base));
  });

  it('is the same for the same seed, another for another', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'listbackup-bench-test-'));
    try {
      expect((await openCorpus(elsewhere, { scale })).base).toEqual(corpus.base);
      expect((await openCorpus(elsewhere, { scale, seed: '2' })).base).not.toEqual(corpus.base);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it('opened again is as made, though a bench ended half-way', async () => {
    await corpus.change();
    corpus = await openCorpus(folder, { scale });
    expect(hashes()).toEqual(Object.fromEntries(corpus.base));
  });

  it('edits, deletes, creates and grows', () => {
    const [before, after] = [corpus.base, corpus.changed];
    const gone = [...before.keys()].filter((path) => !after.has(path));
    const other = [...before].filter(([path, hash]) => after.has(path) && after.get(path) !== hash).map(([path]) => path);
    expect(gone).toHaveLength(1);
    expect([...after.keys()].filter((path) => !before.has(path))).toHaveLength(1);
    expect(other.filter((path) => path.endsWith('.json'))).toHaveLength(1);
    expect(other.filter((path) => path.startsWith('large/'))).toHaveLength(2);
  });
});

describe.runIf(process.platform === 'linux')('measuring', () => {
  it('gives every phase its numbers', async () => {
    const work = mkdtempSync(join(tmpdir(), 'listbackup-bench-test-'));
    try {
      const round = await listbackup.round(corpus, work);
      for (const phase of phases) {
        expect(round[phase]).toMatchObject({ wallSeconds: expect.any(Number), cpuSeconds: expect.any(Number) });
        expect(round[phase].wallSeconds).toBeGreaterThan(0);
        expect(round[phase].peakBytes).toBeGreaterThan(10 * 1024 * 1024);
        expect(round[phase].besideBytes).toBeGreaterThan(0);
      }
      // Five of the ten megabytes are random, and only four kibibytes of the change are.
      expect(round.first.storedBytes).toBeGreaterThan(5 * 1024 * 1024);
      expect(round.changed.storedBytes).toBeGreaterThan(4 * 1024);
      expect(round.changed.storedBytes).toBeLessThan(round.first.storedBytes);
      expect(round.unchanged.storedBytes).toBeLessThan(round.changed.storedBytes);
    } finally {
      rmSync(work, { recursive: true });
    }
  });

  it('verifies, and finds what is not as the list says', async () => {
    const said: string[] = [];
    const [path = '', hash = ''] = [...corpus.base][3] ?? [];
    const wrong = new Map(corpus.base).set(
      path,
      hash.replace(/^./, (c) => (c === '0' ? '1' : '0')),
    );
    const tampered = { ...corpus, base: wrong };
    const verdict = await verify(tampered, join(folder, 'data'), (line) => said.push(line));
    expect(verdict).toMatchObject({ listed: corpus.base.size + corpus.changed.size });
    // All of the first run; of the second what differs from the (tampered) first list.
    expect(verdict.downloaded).toBeGreaterThan(corpus.base.size);
    expect(verdict.wrong).toEqual([`${path}: listed with sha256 ${hash}`, `${path}: downloaded with sha256 ${hash}`]);
  });

  it('is a command that ends well when all is as it should be', async () => {
    const { stdout } = await promisify(execFile)('npm', ['run', '--silent', 'bench', '--', 'verify', '--scale', String(scale)]);
    expect(stdout).toMatch(/^\d+ listed, \d+ downloaded \(\d+ bytes\), 0 wrong$/m);
  });

  it('knows what is not installed', async () => {
    expect(await askVersion('no-tool-of-this-name', ['--version'])).toBeUndefined();
  });
});

describe('the report', () => {
  it('lists every difference between what is listed and what is there', () => {
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

  it('takes medians, and their ratios to the reference', () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(median([7])).toBe(7);
    const measure = (wallSeconds: number) => ({ wallSeconds, cpuSeconds: 1, peakBytes: 2 ** 20, storedBytes: 512, besideBytes: 0 });
    const round = (wallSeconds: number) => ({ first: measure(wallSeconds), unchanged: measure(1), changed: measure(1) });
    const results = [
      { name: 'A', version: '', settings: '', rounds: [round(1), round(30), round(2)] },
      { name: 'B', version: '', settings: '', rounds: [round(4), round(4), round(4)] },
    ];
    expect(table(results, 'B').split('\n').slice(2, 4)).toEqual([
      '| first | A | 2.00 (0.50×) | 1.00 (1.00×) | 1.0 MiB (1.00×) | 0.5 KiB (1.00×) | 0.0 KiB |',
      '| first | B | 4.00 | 1.00 | 1.0 MiB | 0.5 KiB | 0.0 KiB |',
    ]);
  });
});
