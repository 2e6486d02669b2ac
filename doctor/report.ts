/** The doctor's report for people: what was checked, the findings, and advice for each failure. */
import type { Checked, Finding } from './finding.ts';

export type Report = {
  /** How many things of each kind were checked. */
  checked: Map<Checked, number>;
  /** Findings by severity and kind: their number, and the first of them. */
  groups: Map<string, { severity: Finding['severity']; what: Checked; count: number; first: Finding[] }>;
};

/** Findings shown of each group. */
const maxShown = 20;

export function newReport(): Report {
  return { checked: new Map(), groups: new Map() };
}

export function addFinding({ groups }: Report, finding: Finding): void {
  const { severity, what } = finding;
  const group = groups.get(`${severity} ${what}`) ?? { severity, what, count: 0, first: [] };
  groups.set(`${severity} ${what}`, group);
  group.count++;
  if (group.first.length < maxShown) group.first.push(finding);
}

export function failuresIn({ groups }: Report): number {
  return [...groups.values()]
    .filter(({ severity }) => severity === 'failure')
    .reduce((sum, { count }) => sum + count, 0);
}

const restoreLog = restoreCopy('The event store does not hold the bytes that were written.');
const rerun = 'Cancel the run with: listbackup runs cancel <run>. Then run the job again.';
const damaged =
  'If a disk or a bucket refuses reads, correct that first, and run the doctor again. ' +
  'Restore missing or damaged packs and manifests from a copy of the data folder, if you have one. ' +
  'Or run the job again: it reads the files of lost packs again, if the source still has them. ' +
  'If a pack was altered, first download one of its files: that is refused and marks the pack as damaged. ' +
  'Other files are not affected. ' +
  'The other versions of a damaged file are listed by: listbackup versions <file id>';

function restoreCopy(reason: string): string {
  return `${reason} Restore the data folder from a copy.`;
}

/** Singular, plural, and advice for a failure. */
const kinds: { [C in Checked]: { one: string; many: string; advice: string } } = {
  ledger: { one: 'ledger entry', many: 'ledger entries', advice: restoreLog },
  commit: { one: 'commit', many: 'commits', advice: restoreLog },
  'commit-blob': { one: 'large commit', many: 'large commits', advice: restoreLog },
  event: { one: 'event', many: 'events', advice: restoreLog },
  'encrypted-field': {
    one: 'encrypted field',
    many: 'encrypted fields',
    advice: restoreCopy('A field was altered, or its key was replaced.'),
  },
  row: {
    one: 'row',
    many: 'rows',
    advice: 'The read models differ from the log. Rebuild them with: npm run read-models -- rebuild',
  },
  cursor: {
    one: 'cursor',
    many: 'cursors',
    advice:
      'Start ListBackup, and the read models catch up. ' +
      'If they do not, rebuild them with: npm run read-models -- rebuild',
  },
  parked: {
    one: 'parked stream',
    many: 'parked streams',
    advice: 'Fix the cause, which the log of the process shows. Then continue with: npm run read-models -- unpark',
  },
  'id-index': {
    one: 'id index',
    many: 'id indexes',
    advice: 'The next run lists everything and makes it anew.',
  },
  manifest: { one: 'manifest', many: 'manifests', advice: damaged },
  node: { one: 'manifest node', many: 'manifest nodes', advice: damaged },
  segment: { one: 'manifest segment', many: 'manifest segments', advice: damaged },
  'pack-footer': { one: 'pack', many: 'packs', advice: damaged },
  'pack-registry': { one: 'registered pack', many: 'registered packs', advice: damaged },
  'pack-slot': { one: 'pack slot', many: 'pack slots', advice: damaged },
  file: { one: 'file version', many: 'file versions', advice: damaged },
  'chunk-index': {
    one: 'chunk index record',
    many: 'chunk index records',
    advice: restoreCopy('New backups would refer to content that is not stored.'),
  },
  'error-page': {
    one: 'error page',
    many: 'error pages',
    advice: 'The error list of that run is incomplete. Run the job again for a new list.',
  },
  export: { one: 'zip', many: 'zips', advice: 'This download is refused. Request it again.' },
  run: { one: 'open run', many: 'open runs', advice: rerun },
  work: { one: 'work list', many: 'work lists', advice: rerun },
  part: { one: 'manifest part', many: 'manifest parts', advice: rerun },
  credentials: {
    one: 'set of credentials',
    many: 'sets of credentials',
    advice: 'Enter the keys again with: listbackup sources change <source> --new-keys',
  },
  message: {
    one: 'dead letter',
    many: 'dead letters',
    advice: `The message is not tried again. ${rerun}`,
  },
  key: {
    one: 'encryption key',
    many: 'encryption keys',
    advice: restoreCopy('Data that is encrypted with this key cannot be read without it.'),
  },
  'key-file': { one: 'key file', many: 'key files', advice: 'Restore keys.json from your copy of it.' },
  database: { one: 'database', many: 'databases', advice: restoreCopy('The database file is damaged.') },
  source: {
    one: 'source entry',
    many: 'source entries',
    advice: 'If the source has not changed since the backup, run the job again.',
  },
};

export function renderReport(report: Report, options: { data: string; readData: boolean }): string {
  const scope = options.readData ? ', including all content' : '';
  const lines = [`Checked ${options.data}${scope}:`, `  ${counts(report)}`, ''];
  // Failures come first. Those with the same advice share it.
  const sections = Map.groupBy(report.groups.values(), ({ severity, what }) =>
    severity === 'failure' ? kinds[what].advice : '',
  );
  const infos = sections.get('') ?? [];
  sections.delete('');
  for (const [advice, groups] of [...sections, ['', infos] as const]) {
    for (const { severity, what, count, first } of groups) {
      lines.push(`${severity === 'failure' ? 'FAILURE' : 'Info'}: ${kinds[what].many} (${count})`);
      for (const { where, detail } of first) lines.push(`  ${where}: ${detail}`);
      if (count > first.length) lines.push(`  … and ${count - first.length} more. Show all with --json.`);
      if (advice === '') lines.push('');
    }
    if (advice !== '') lines.push(`  → ${advice}`, '');
  }
  const failures = failuresIn(report);
  if (failures > 0) lines.push(`${failures} ${failures === 1 ? 'failure' : 'failures'} found.`);
  else if (options.readData) lines.push('No failures found.');
  else
    lines.push(
      'No failures found. Content was not read. To read it too, add --read-data: it takes as long as reading all backups.',
    );
  return lines.join('\n');
}

/** For example `12 ledger entries, 1 manifest`. */
export function counts({ checked }: Report): string {
  return [...checked].map(([what, count]) => `${count} ${count === 1 ? kinds[what].one : kinds[what].many}`).join(', ');
}
