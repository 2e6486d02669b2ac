/**
 * Checks comments, docs and commit subjects against the writing rules: line width, sentence length and the terms that
 * docs/glossary.md replaces. `node scripts/check-prose.ts [--list] [folder or file …]`: `--list` shows each long sentence.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const maxWidth = 120;
const maxWords = 25;
/** Of all sentences, at most this share may be longer than `maxWords`. */
const maxLongShare = 1 / 20;
const maxSubject = 72;
/** Commits after this one follow the rule for subjects. */
const firstChecked = 'fb49a2968';

/** What docs/glossary.md replaces: [pattern, the term to write]. */
const oldTerms: [RegExp, string][] = [
  [/\bnouns?\b/i, 'aggregate'],
  [/\b(embedded|AWS|both|two) homes?\b|\bhomes\b|\bthe home\b/i, 'deployment'],
  [/\bLine(Sealed|Released|State|Event)\b|\bsealLine\b|\breleaseLine\b/, 'backup chain, RestorePointCreated, RunEnded'],
  [/\bthe line of (a|the|that|this|its) (job|source|run)\b|\bbackup lines?\b/i, 'backup chain'],
  [/\b(un)?seal(s|ed|ing)?\b/i, 'encrypt, commit or close'],
  [/\bMoments?\b|\bmoments? of a source\b/, 'restore point'],
  [/\bAbout\b(?=[;,>)\]}])/, 'RunRef, EntryRef …'],
  [/\bplaces?\b(?!holder)/, 'position, offset, location, key …'],
  [/\bwake-?ups?\b/i, 'stream notification'],
  [/\btend(s|ed|ing)?\b/i, 'maintain'],
  [/\b(lay|lays|laid) down\b|\bpick(s|ed)? up\b|\blayDown\b|\bpickUp\b/i, 'save, load'],
  [/\b(un)?squeez(e|es|ed|ing)\b/i, 'pack or compress'],
  [/\bamongRivals\b|\brivals?\b|\btwins?\b/i, 'concurrent worker, duplicate'],
  [/\bjudg(e|es|ed|ing|ement)\b/i, 'evaluate'],
  [/\bcall(s|ed|ing)? off\b/i, 'cancel'],
  [/\bg(i|a)ve(s|n)? up\b|\bgiving up\b/i, 'failed permanently, dead-lettered, abandon'],
  [/\btroubles?\b(?!shooting)/i, 'fault, finding or error'],
  [/\bwhoever\b|\bwhomever\b/i, 'the actor, by name'],
  [/\b(woken|wake)\b/i, 'notify or start'],
  [/\b(un)?told\b/i, 'the thing, by name'],
  [/\bmost[A-Z]\w+/, 'max…'],
];

type Text = { file: string; line: number; text: string };

const args = process.argv.slice(2);
const list = args.includes('--list');
const only = args.filter((arg) => !arg.startsWith('--'));
const problems: string[] = [];
const long: string[] = [];
let sentences = 0;

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '--', ...only], {
  encoding: 'utf8',
});
const generated = /(^|\/)(package-lock\.json|api-types\.ts|openapi\.json|golden\.json|check-prose(\.test)?\.ts)$/;
const read = tracked.split('\n').filter((file) => !generated.test(file));
const files = read.filter((file) => /\.(ts|js|cjs|md|sh)$/.test(file));
const others = read.filter((file) => /\.(py|ya?ml|toml|json|html)$|^\.ci\//.test(file));
for (const file of others) checkTerms(file, readFileSync(file, 'utf8'));
for (const file of files) {
  const text = readFileSync(file, 'utf8');
  checkWidth(file, text);
  const prose = file.endsWith('.md') ? proseOfMarkdown(file, text) : commentsOf(file, text);
  for (const paragraph of prose) {
    checkSentences(paragraph);
    checkSemicolons(paragraph);
  }
  checkTerms(file, text);
}
if (only.length === 0) checkSubjects();

const share = sentences === 0 ? 0 : long.length / sentences;
if (share > maxLongShare) problems.push(`${(share * 100).toFixed(1)} % of sentences have more than ${maxWords} words`);
if (list || share > maxLongShare) for (const each of long) console.error(each);
for (const problem of problems) console.error(problem);
console.log(
  `prose: ${files.length} files, ${sentences} sentences, ${long.length} longer than ${maxWords} words, ${problems.length} problems`,
);
process.exitCode = problems.length > 0 ? 1 : 0;

/** Tables and lines that hold one unbreakable word (an address, a hash, a pattern) may be wider. */
function checkWidth(file: string, text: string): void {
  let fenced = false;
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trimStart().startsWith('```')) fenced = !fenced;
    if (line.length <= maxWidth || (file.endsWith('.md') && (fenced || line.startsWith('|')))) continue;
    const isComment = file.endsWith('.md') || /^\s*(\*|\/\/|\/\*|#)/.test(line);
    if (!isComment && /(['"`]).{60,}\1|\S{60,}|\/.{60,}\//.test(line)) continue;
    if (isComment && /\S{80,}/.test(line)) continue;
    problems.push(`${file}:${i + 1}: ${line.length} columns, at most ${maxWidth}`);
  }
}

/** Paragraphs of prose: no code blocks, tables or headings. List items are paragraphs of their own. */
function proseOfMarkdown(file: string, text: string): Text[] {
  const out: Text[] = [];
  let fenced = false;
  let current: Text | undefined;
  for (const [i, line] of text.split('\n').entries()) {
    if (line.trimStart().startsWith('```')) fenced = !fenced;
    const isProse = !fenced && line.trim() !== '' && !/^\s*(```|\||#|<)/.test(line);
    if (!isProse || /^\s*([-*]|\d+\.) /.test(line)) {
      if (current) out.push(current);
      current = undefined;
    }
    if (!isProse) continue;
    current ??= { file, line: i + 1, text: '' };
    current.text += ` ${line.trim()}`;
  }
  return current ? [...out, current] : out;
}

/** Comment blocks, joined over their lines. Lines that are indented by four spaces are code. */
function commentsOf(file: string, text: string): Text[] {
  const out: Text[] = [];
  let current: Text | undefined;
  const isShell = file.endsWith('.sh');
  for (const [i, line] of text.split('\n').entries()) {
    const match = isShell ? /^\s*#(?!!)(.*)$/.exec(line) : /^\s*(?:\/\*\*?|\*\/|\*(?!\/)|\/\/)(.*)$/.exec(line);
    const isCode = match?.[1]?.startsWith('     ') ?? false;
    const body = isCode ? '' : (match?.[1]?.replace(/\*\/\s*$/, '').trim() ?? '');
    if (body === '' || /^@\w+|^─|^── /.test(body)) {
      if (current) out.push(current);
      current = undefined;
    }
    if (body === '' || /^── /.test(body)) continue;
    current ??= { file, line: i + 1, text: '' };
    current.text += ` ${body}`;
    if (/\*\/\s*$/.test(line)) {
      out.push(current);
      current = undefined;
    }
  }
  return current ? [...out, current] : out;
}

/** Code in backquotes counts as one word. A colon does not end a sentence. */
function checkSentences({ file, line, text }: Text): void {
  const plain = text
    .replaceAll(/`[^`]*`/g, 'code')
    .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
    .replaceAll(/https?:\S+/g, 'link')
    .replaceAll(/\b(e\.g|i\.e|etc|vs|approx|No)\./g, '$1');
  for (const sentence of plain.split(/(?<=[.!?])["')*_]*\s+(?=["'(*_`[]*[A-Z0-9`])/)) {
    const words = sentence.split(/\s+/).filter((word) => /[\p{L}\p{N}]/u.test(word));
    if (words.length === 0) continue;
    sentences++;
    if (words.length > maxWords) long.push(`${file}:${line}: ${words.length} words: ${sentence.trim().slice(0, 90)}…`);
  }
}

function checkTerms(file: string, text: string): void {
  if (file === 'docs/glossary.md') return;
  for (const [i, line] of text.split('\n').entries()) {
    const words = line.replaceAll(/([a-z0-9])([A-Z])/g, '$1 $2');
    for (const [pattern, term] of oldTerms) {
      const found = pattern.exec(line) ?? pattern.exec(words);
      if (found) problems.push(`${file}:${i + 1}: "${found[0]}" is an old term: write ${term}`);
    }
  }
}

function checkSemicolons({ file, line, text }: Text): void {
  if (/; /.test(text.replaceAll(/;;|`[^`]*`|\([^)]*\)/g, '')))
    problems.push(`${file}:${line}: a semicolon: write two sentences`);
}

/** A shallow clone without the first checked commit has its newest commit checked. */
function checkSubjects(): void {
  const log = (range: string[]) =>
    execFileSync('git', ['log', '--format=%h %s', ...range], { encoding: 'utf8', stdio: 'pipe' });
  let subjects: string;
  try {
    subjects = log([`${firstChecked}..HEAD`]);
  } catch {
    subjects = log(['-1']);
  }
  for (const entry of subjects.split('\n').filter(Boolean)) {
    const subject = entry.slice(entry.indexOf(' ') + 1);
    if (subject.length > maxSubject) problems.push(`${entry}: ${subject.length} characters, at most ${maxSubject}`);
  }
}
