/**
 * The tree to back up. The same name, seed and scale give the same bytes on every machine.
 *
 * | corpus  | at scale 1                                                                                            |
 * | ------- | ----------------------------------------------------------------------------------------------------- |
 * | bench   | 10,000 files of 1–32 KiB of JSON text in 100 folders, 100 of random bytes and 100 of log text of 5 MiB |
 * | tiny    | 100,000 files of 100 bytes in 100 folders                                                             |
 * | million | 1,000,000 files of 100 bytes in 1,000 folders                                                         |
 * | modules | 30,000 files of 200 bytes to 60 KB, as in a folder `node_modules`                                      |
 *
 * The change edits 2 % of the small files, deletes 1 % and adds 1 %. It inserts 4 KiB somewhere in 5 of the large
 * files. It changes the files themselves. In a second tree every file would have a new inode, and all tools would read
 * it again.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
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
  name: string;
  seed: string;
  scale: number;
  /** SHA-256 (hex) by path, before and after the change. Lists for `sha256sum -c` lie beside the tree. */
  base: Map<string, string>;
  changed: Map<string, string>;
  /** Makes the change. `revert` undoes it. Both are idempotent. */
  change(): Promise<void>;
  revert(): Promise<void>;
};

type Item = { path: string; kind: 'json' | 'random' | 'log' | 'line' | 'code' };
/** The files of a corpus. `added` gives the i-th file that the change adds. */
type Files = { small: Item[]; large: Item[]; added: (i: number) => Item };
/** The changed paths. All others stay unchanged. */
type Plan = { items: Item[]; edited: Item[]; deleted: Item[]; created: Item[]; grown: Item[] };

/** At scale 1, `count(n)` is n. */
const corpora: { [name: string]: (count: (n: number) => number, seed: string) => Files } = {
  bench: (count) => ({
    ...inFolders(count(10_000), Math.min(100, count(10_000)), 'json', 'json'),
    large: [
      ...list<Item>(count(100), (i) => ({ path: `large/${numbered('r', i, 'bin')}`, kind: 'random' })),
      ...list<Item>(count(100), (i) => ({ path: `large/${numbered('l', i, 'log')}`, kind: 'log' })),
    ],
  }),
  tiny: (count) => inFolders(count(100_000), Math.min(100, count(100_000)), 'line', 'txt'),
  million: (count, seed) => {
    const random = seededRandom(`${seed}/names`);
    return inFolders(count(1_000_000), count(1000), 'line', 'txt', () => `${random.word()}-${random.word()}-`);
  },
  modules: (count, seed) => {
    const small = modules(count(30_000), seededRandom(`${seed}/modules`));
    return { small, large: [], added: (i) => ({ path: `node_modules/added/lib/${i}.js`, kind: 'code' }) };
  },
};
export const corpusNames = Object.keys(corpora);

/** Opens the corpus in that folder, or makes it if it is missing. Other files in the folder stay. */
export async function openCorpus(folder: string, { name = 'bench', seed = '1', scale = 1 } = {}): Promise<Corpus> {
  if (!(scale > 0 && scale <= 1)) throw new Error(`The scale is ${scale}. Use a number above 0 and at most 1.`);
  const tree = join(folder, 'tree');
  const plan = planOf(name, seed, scale);
  const about = JSON.stringify({ recipe, name, seed, scale });
  const kept = (await readFile(join(folder, 'corpus.json'), 'utf8').catch(() => undefined)) === about;
  if (!kept) await make(folder, tree, plan, seed, about);
  const write = writerIn(tree);
  const corpus: Corpus = {
    tree,
    name,
    seed,
    scale,
    base: await readList(join(folder, 'base.sha256')),
    changed: await readList(join(folder, 'changed.sha256')),
    async change() {
      for (const item of plan.deleted) await rm(join(tree, item.path), { force: true });
      for (const item of plan.created) write(item, content(item, seed));
      for (const item of [...plan.edited, ...plan.grown]) write(item, contentAfter(item, seed));
    },
    async revert() {
      for (const item of plan.created) await rm(join(tree, item.path), { force: true });
      for (const item of [...plan.deleted, ...plan.edited, ...plan.grown]) write(item, content(item, seed));
    },
  };
  // An interrupted benchmark leaves the change behind
  if (kept) await corpus.revert();
  return corpus;
}

function planOf(name: string, seed: string, scale: number): Plan {
  const filesOf = corpora[name];
  if (!filesOf) throw new Error(`Corpus ${name} does not exist. Choose from ${corpusNames.join(', ')}.`);
  const { small, large, added } = filesOf((n) => Math.max(1, Math.round(n * scale)), seed);
  const percent = (n: number) => Math.max(1, Math.round((small.length * n) / 100));
  const chosen = seededRandom(`${seed}/plan`).shuffled(small);
  const edited = chosen.slice(0, percent(2));
  return {
    items: [...small, ...large],
    edited,
    deleted: chosen.slice(edited.length, edited.length + percent(1)),
    created: list(percent(1), added),
    grown: seededRandom(`${seed}/grown`).shuffled(large).slice(0, 5),
  };
}

/** `total` small files, spread over folders. `prefix` gives the start of each name after `f`. */
function inFolders(total: number, folders: number, kind: Item['kind'], suffix: string, prefix = () => ''): Files {
  const width = String(Math.max(folders - 1, 10)).length;
  const folder = (i: number) => `d${String(i % folders).padStart(width, '0')}`;
  return {
    small: list(total, (i) => ({ path: `${folder(i)}/${numbered(`${prefix()}f`, i, suffix)}`, kind })),
    large: [],
    added: (i) => ({ path: `${folder(i * 7)}/${numbered('n', i, suffix)}`, kind }),
  };
}

/** Packages of 6 to 60 files, a fifth of them in another package. */
function modules(total: number, random: SeededRandom): Item[] {
  const paths = new Set<string>();
  const packages: string[] = [];
  while (paths.size < total) {
    const above = random.below(5) === 0 ? packages[random.below(packages.length)] : undefined;
    const scope = random.below(4) === 0 ? `@${random.word()}/` : '';
    const root = `${above ? `${above}/` : ''}node_modules/${scope}${random.word()}-${random.word()}`;
    packages.push(root);
    for (const name of ['package.json', 'README.md', 'LICENSE', 'index.js', 'index.d.ts']) paths.add(`${root}/${name}`);
    for (let more = random.between(1, 55); more > 0; more--) {
      const folder = ['lib', 'dist', 'dist/esm', 'src/internal'][random.below(4)];
      paths.add(`${root}/${folder}/${random.word()}.${['js', 'd.ts', 'js.map', 'cjs'][random.below(4)]}`);
    }
  }
  return [...paths].slice(0, total).map((path) => ({ path, kind: 'code' }));
}

function list<T>(n: number, item: (i: number) => T): T[] {
  return Array.from({ length: n }, (_, i) => item(i));
}

function numbered(prefix: string, i: number, suffix: string): string {
  return `${prefix}${String(i).padStart(5, '0')}.${suffix}`;
}

async function make(folder: string, tree: string, plan: Plan, seed: string, about: string): Promise<void> {
  await rm(join(folder, 'corpus.json'), { force: true });
  await rm(tree, { recursive: true, force: true });
  const write = writerIn(tree);
  const base = new Map<string, string>();
  for (const item of plan.items) {
    const bytes = content(item, seed);
    write(item, bytes);
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

/** Synchronous, because a million small files take minutes otherwise. */
function writerIn(tree: string): (item: Item, bytes: Uint8Array) => void {
  const made = new Set<string>();
  return ({ path }, bytes) => {
    const folder = join(tree, dirname(path));
    if (!made.has(folder)) mkdirSync(folder, { recursive: true });
    made.add(folder);
    writeFileSync(join(tree, path), bytes);
  };
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
  // Packages share a few licences
  const shared = item.path.endsWith('/LICENSE') ? `LICENSE ${item.path.length % 5}` : item.path;
  const random = seededRandom(`${seed}/${shared}`);
  if (item.kind === 'random') return random.bytes(large);
  if (item.kind === 'log') return logText(random, large);
  if (item.kind === 'json')
    return Buffer.from(`[\n${records(random, random.between(kibi + longestRecord, 32 * kibi)).join(',\n')}\n]\n`);
  if (item.kind === 'line') return Buffer.from(`${line(random, 99)}\n`);
  return code(random, Math.round(200 * 300 ** (random.below(kibi) / kibi)));
}

/** The changed file: a small one with a replaced record or line, or a large one with 4 KiB more. */
function contentAfter(item: Item, seed: string): Buffer {
  const before = content(item, seed);
  const random = seededRandom(`${seed}/${item.path}/changed`);
  if (item.kind === 'json') {
    const all: unknown[] = JSON.parse(before.toString());
    all[random.below(all.length)] = JSON.parse(record(random));
    return Buffer.from(`[\n${all.map((one) => JSON.stringify(one)).join(',\n')}\n]\n`);
  }
  if (item.kind === 'random' || item.kind === 'log') {
    const more = item.kind === 'random' ? random.bytes(inserted) : logText(random, inserted);
    const at = random.below(before.length);
    return Buffer.concat([before.subarray(0, at), more, before.subarray(at)]);
  }
  const lines = before.toString().split('\n');
  const at = random.below(lines.length - 1);
  lines[at] = line(random, (lines[at] as string).length);
  return Buffer.from(lines.join('\n'));
}

/** Words, of that length together. */
function line(random: SeededRandom, length: number): string {
  let text = random.word();
  while (text.length < length) text += ` ${random.word()}`;
  return text.slice(0, length);
}

/** Lines of code, of that length together. */
function code(random: SeededRandom, length: number): Buffer {
  const names = list(12, () => random.word());
  const name = () => names[random.below(names.length)];
  let text = '';
  while (text.length < length)
    text += `${['export const', '  const', '  return', '  this.'][random.below(4)]} ${name()} = ${name()}.${name()}(${name()}, ${random.below(1000)});\n`;
  return Buffer.from(`${text.slice(0, length - 1)}\n`);
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
