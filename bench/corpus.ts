/**
 * The tree to back up. The same seed and scale give the same bytes on every machine.
 *
 * Scale 1 has 10,000 files of 1–32 KiB of JSON text in 100 folders. It also has 100 files of random bytes and 100 of
 * log text, of 5 MiB each. The change edits 2 % of the small files, deletes 1 % and adds 1 %. It inserts 4 KiB
 * somewhere in 5 of the large files. It changes the files themselves. In a second tree
 * every file would have a new inode, and all tools would read it again.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type SeededRandom, seededRandom } from './seeded-random.ts';

const kibi = 1024;
const large = 5 * 1024 * kibi;
const inserted = 4 * kibi;
const longestRecord = 320;
/** Raise it when the same seed gives other bytes, so that a kept corpus is made again. */
const recipe = 1;

export type Corpus = {
  /** The folder to back up. */
  tree: string;
  seed: string;
  scale: number;
  /** SHA-256 (hex) by path, before and after the change. Lists for `sha256sum -c` lie beside the tree. */
  base: Map<string, string>;
  changed: Map<string, string>;
  /** Makes the change. `revert` undoes it. Both are idempotent. */
  change(): Promise<void>;
  revert(): Promise<void>;
};

type Item = { path: string; kind: 'json' | 'random' | 'log' };
/** The changed paths. All others stay unchanged. */
type Plan = { items: Item[]; edited: Item[]; deleted: Item[]; created: Item[]; grown: Item[] };

/** Opens the corpus in that folder, or makes it if it is missing. Other files in the folder stay. */
export async function openCorpus(folder: string, { seed = '1', scale = 1 } = {}): Promise<Corpus> {
  if (!(scale > 0 && scale <= 1)) throw new Error(`The scale is ${scale}. Use a number above 0 and at most 1.`);
  const tree = join(folder, 'tree');
  const plan = planOf(seed, scale);
  const about = JSON.stringify({ recipe, seed, scale });
  const kept = (await readFile(join(folder, 'corpus.json'), 'utf8').catch(() => undefined)) === about;
  if (!kept) await make(folder, tree, plan, seed, about);
  const corpus: Corpus = {
    tree,
    seed,
    scale,
    base: await readList(join(folder, 'base.sha256')),
    changed: await readList(join(folder, 'changed.sha256')),
    async change() {
      for (const item of plan.deleted) await rm(join(tree, item.path), { force: true });
      for (const item of plan.created) await write(tree, item, content(item, seed));
      for (const item of [...plan.edited, ...plan.grown]) await write(tree, item, contentAfter(item, seed));
    },
    async revert() {
      for (const item of plan.created) await rm(join(tree, item.path), { force: true });
      for (const item of [...plan.deleted, ...plan.edited, ...plan.grown]) await write(tree, item, content(item, seed));
    },
  };
  // An interrupted benchmark leaves the change behind
  if (kept) await corpus.revert();
  return corpus;
}

function planOf(seed: string, scale: number): Plan {
  const count = (n: number) => Math.max(1, Math.round(n * scale));
  const folder = (i: number) => `d${String(i % Math.min(100, count(10_000))).padStart(2, '0')}`;
  const name = (prefix: string, i: number, suffix: string) => `${prefix}${String(i).padStart(5, '0')}.${suffix}`;
  const list = (n: number, item: (i: number) => Item) => Array.from({ length: n }, (_, i) => item(i));
  const small = list(count(10_000), (i) => ({ path: `${folder(i)}/${name('f', i, 'json')}`, kind: 'json' }));
  const random = list(count(100), (i) => ({ path: `large/${name('r', i, 'bin')}`, kind: 'random' }));
  const logs = list(count(100), (i) => ({ path: `large/${name('l', i, 'log')}`, kind: 'log' }));
  const chosen = seededRandom(`${seed}/plan`).shuffled(small);
  const edited = chosen.slice(0, count(200));
  return {
    items: [...small, ...random, ...logs],
    edited,
    deleted: chosen.slice(edited.length, edited.length + count(100)),
    created: list(count(100), (i) => ({ path: `${folder(i * 7)}/${name('n', i, 'json')}`, kind: 'json' })),
    grown: seededRandom(`${seed}/grown`)
      .shuffled([...random, ...logs])
      .slice(0, 5),
  };
}

async function make(folder: string, tree: string, plan: Plan, seed: string, about: string): Promise<void> {
  await rm(join(folder, 'corpus.json'), { force: true });
  await rm(tree, { recursive: true, force: true });
  const base = new Map<string, string>();
  for (const item of plan.items) {
    const bytes = content(item, seed);
    await write(tree, item, bytes);
    base.set(item.path, sha256(bytes));
  }
  const changed = new Map(base);
  for (const item of plan.deleted) changed.delete(item.path);
  for (const item of plan.created) changed.set(item.path, sha256(content(item, seed)));
  for (const item of [...plan.edited, ...plan.grown]) changed.set(item.path, sha256(contentAfter(item, seed)));
  await writeFile(join(folder, 'base.sha256'), listText(base));
  await writeFile(join(folder, 'changed.sha256'), listText(changed));
  await writeFile(join(folder, 'corpus.json'), about);
}

async function write(tree: string, item: Item, bytes: Uint8Array): Promise<void> {
  const path = join(tree, item.path);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
}

/** The format of `sha256sum -c`, with paths relative to the tree. */
function listText(list: Map<string, string>): string {
  return [...list].map(([path, hash]) => `${hash}  ${path}\n`).join('');
}

async function readList(path: string): Promise<Map<string, string>> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => line !== '');
  return new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)]));
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function content(item: Item, seed: string): Buffer {
  const random = seededRandom(`${seed}/${item.path}`);
  if (item.kind === 'random') return random.bytes(large);
  if (item.kind === 'log') return logText(random, large);
  return Buffer.from(`[\n${records(random, random.between(kibi + longestRecord, 32 * kibi)).join(',\n')}\n]\n`);
}

/** The changed file: a small one with a replaced record, or a large one with 4 KiB more. */
function contentAfter(item: Item, seed: string): Buffer {
  const before = content(item, seed);
  const random = seededRandom(`${seed}/${item.path}/changed`);
  if (item.kind === 'json') {
    const all: unknown[] = JSON.parse(before.toString());
    all[random.below(all.length)] = JSON.parse(record(random));
    return Buffer.from(`[\n${all.map((one) => JSON.stringify(one)).join(',\n')}\n]\n`);
  }
  const more = item.kind === 'random' ? random.bytes(inserted) : logText(random, inserted);
  const at = random.below(before.length);
  return Buffer.concat([before.subarray(0, at), more, before.subarray(at)]);
}

/** As many records as fit into that many bytes, with separators and brackets. */
function records(random: SeededRandom, most: number): string[] {
  const all: string[] = [];
  for (let length = 4; ; ) {
    const next = record(random);
    length += next.length + 2;
    if (length > most) return all;
    all.push(next);
  }
}

function record(random: SeededRandom): string {
  return JSON.stringify({
    id: random.below(2 ** 31),
    name: `${random.word()} ${random.word()}`,
    kind: ['invoice', 'contact', 'task', 'note', 'event'][random.below(5)],
    at: new Date(Date.UTC(2026, 0, 1) + random.below(2 ** 31)).toISOString(),
    amount: random.below(1_000_000) / 100,
    open: random.below(2) === 0,
    text: Array.from({ length: random.between(3, 12) }, () => random.word()).join(' '),
  });
}

function logText(random: SeededRandom, length: number): Buffer {
  let at = Date.UTC(2026, 0, 1) + random.below(2 ** 31);
  let text = '';
  while (text.length < length) {
    at += random.below(200);
    const level = ['INFO', 'INFO', 'INFO', 'DEBUG', 'WARN'][random.below(5)];
    const request = random
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0');
    text += `${new Date(at).toISOString()} ${level} ${random.word()}.${random.word()} request=${request} took ${random.below(2000)} ms, ${random.word()}\n`;
  }
  return Buffer.from(text, 'latin1').subarray(0, length);
}
