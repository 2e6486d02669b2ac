/** What a check found, for people: what was looked at, what is wrong and what to do about it. */
import type { Checked, Finding } from './finding.ts';

export type Report = {
  /** How many of each kind were looked at. */
  checked: Map<Checked, number>;
  /** How many findings of each kind there are, and the first of them. */
  found: Map<string, { severity: Finding['severity']; what: Checked; count: number; first: Finding[] }>;
};

const shown = 20;

export function newReport(): Report {
  return { checked: new Map(), found: new Map() };
}

export function addFinding({ found }: Report, finding: Finding): void {
  const { severity, what } = finding;
  const group = found.get(`${severity} ${what}`) ?? { severity, what, count: 0, first: [] };
  found.set(`${severity} ${what}`, group);
  group.count++;
  if (group.first.length < shown) group.first.push(finding);
}

export function failuresIn({ found }: Report): number {
  return [...found.values()]
    .filter(({ severity }) => severity === 'failure')
    .reduce((sum, { count }) => sum + count, 0);
}

/** Singular and plural, and what to do about a failure. */
const kinds: { [C in Checked]: { one: string; many: string; advice: string } } = {
  ledger: { one: 'ledger entry', many: 'ledger entries', advice: restore('the log is not what was written') },
  commit: { one: 'commit', many: 'commits', advice: restore('the log is not what was written') },
  'commit-blob': { one: 'large commit', many: 'large commits', advice: restore('the log is not what was written') },
  event: { one: 'event', many: 'events', advice: restore('the log is not what was written') },
  'encrypted-field': {
    one: 'sealed field',
    many: 'sealed fields',
    advice: restore('it was sealed under another key than is here, or altered'),
  },
  row: {
    one: 'row',
    many: 'rows',
    advice: 'The log is right and the rows are not: make them anew (npm run read-models -- rebuild).',
  },
  cursor: {
    one: 'cursor',
    many: 'cursors',
    advice:
      'Start ListBackup: the read models catch up by themselves. If they do not, make them anew (npm run read-models -- rebuild).',
  },
  parked: {
    one: 'parked stream',
    many: 'parked streams',
    advice: 'Correct the cause (its log says which), then let it go on (npm run read-models -- unpark).',
  },
  manifest: { one: 'manifest', many: 'manifests', advice: again() },
  segment: { one: 'segment of a manifest', many: 'segments of manifests', advice: again() },
  'pack-footer': { one: 'pack', many: 'packs', advice: again() },
  'pack-slot': { one: 'slot of a pack', many: 'slots of packs', advice: again() },
  file: { one: 'file version', many: 'file versions', advice: again() },
  'chunk-index': {
    one: 'chunk in the index',
    many: 'chunks in the index',
    advice: restore('the next backups would refer to content that is not there'),
  },
  'error-page': {
    one: 'page of errors',
    many: 'pages of errors',
    advice: 'The list of what that run could not save is incomplete. The next run makes a new one.',
  },
  export: { one: 'zip', many: 'zips', advice: 'Ask for the download again; this one is refused.' },
  run: { one: 'open run', many: 'open runs', advice: 'Cancel it (POST /runs/{id}/cancel), and run the job again.' },
  tally: { one: 'tally', many: 'tallies', advice: 'Cancel the run (POST /runs/{id}/cancel), and run the job again.' },
  work: {
    one: 'list of work',
    many: 'lists of work',
    advice: 'Cancel the run (POST /runs/{id}/cancel), and run the job again.',
  },
  part: {
    one: 'part of a manifest',
    many: 'parts of manifests',
    advice: 'Cancel the run (POST /runs/{id}/cancel), and run the job again.',
  },
  credentials: {
    one: 'set of credentials',
    many: 'sets of credentials',
    advice: 'Enter them again (PUT /sources/{id}).',
  },
  message: { one: 'queue', many: 'queues', advice: 'Correct the cause, then redrive them.' },
  key: {
    one: 'account key',
    many: 'account keys',
    advice: restore('without the key nothing sealed under it can be read'),
  },
  'key-file': { one: 'key file', many: 'key files', advice: 'Put keys.json back from where you keep a copy.' },
  database: { one: 'database', many: 'databases', advice: restore('the database file is damaged') },
  source: {
    one: 'thing at a source',
    many: 'things at sources',
    advice: 'If the source has not changed since, run the job again.',
  },
};

function restore(why: string): string {
  return `Put back a copy of the data folder: ${why}.`;
}

function again(): string {
  return (
    'What is damaged cannot be restored from here. Put the blob back from a copy of the data folder, if you have one; ' +
    'downloads of what is damaged are refused, all else can be had.'
  );
}

export function renderReport(report: Report, about: { data: string; readData: boolean }): string {
  const lines = [`Checked ${about.data}${about.readData ? ', all data read' : ''}:`, `  ${counts(report)}`, ''];
  const groups = [...report.found.values()].sort((a, b) => a.severity.localeCompare(b.severity));
  for (const { severity, what, count, first } of groups) {
    const { many, advice } = kinds[what];
    lines.push(`${severity === 'failure' ? 'WRONG' : 'Note'}: ${many} (${count})`);
    for (const { where, detail } of first) lines.push(`  ${where}: ${detail}`);
    if (count > first.length) lines.push(`  … and ${count - first.length} more: --json shows all`);
    if (severity === 'failure') lines.push(`  → ${advice}`);
    lines.push('');
  }
  const failures = failuresIn(report);
  if (failures > 0) lines.push(`${failures} ${failures === 1 ? 'thing is' : 'things are'} wrong.`);
  else
    lines.push(
      `Nothing is wrong.${about.readData ? '' : ' Content was not read: --read-data does, and takes as long as reading all of it.'}`,
    );
  return lines.join('\n');
}

export function counts({ checked }: Report): string {
  return [...checked].map(([what, count]) => `${count} ${count === 1 ? kinds[what].one : kinds[what].many}`).join(', ');
}
