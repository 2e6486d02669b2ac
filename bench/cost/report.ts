/** The tables of docs/cost.md. */
import { projections } from '../../projections/index.ts';
import type { Line } from './idle.ts';
import type { Command, Measured, Run } from './measure.ts';
import { dollars, gbSecond } from './prices.ts';
import type { Worked } from './stage.ts';
import { plus, times, type Usage, unitsOf } from './usage.ts';

const files = 1_000_000;

export function costTables(measured: Measured, idle: { stage: string; lines: Line[] }[]): string {
  return [
    '### A command',
    'DynamoDB write (W) and read (R) units. Dollars are for a million commands, with API Gateway and three functions.',
    commandTable(measured.commands),
    '### An event, in each read model that follows it',
    'Write units, with the cursor. Events of the commands above and of the first run of the smallest source.',
    eventTable(measured),
    '### A run',
    runTable(measured.runs),
    `### ${files.toLocaleString('en')} small files`,
    million(measured.runs),
    '### The idle month of an empty stage',
    ...idle.map(({ stage, lines }) => idleTable(stage, lines)),
  ].join('\n\n');
}

function table(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n');
}

function commandTable(commands: Command[]): string {
  const units = (usage: Usage) => `${unitsOf(usage, 'WRU')} / ${unitsOf(usage, 'RRU')}`;
  const head = [
    'command',
    'append, W',
    'rest of the request, W / R',
    'read models, W / R',
    'append and read models, W',
    'relay, W / R',
    '$ a million',
  ];
  return table(
    head,
    commands.map(({ name, events, append, rest, projections: applied, relay }) => {
      const started = new Map([
        ['API Gateway', 1],
        ['Lambda', events > 0 ? 3 : 1],
      ]);
      const after = events > 0 ? [applied, relay] : [];
      const all = plus(new Map([['WRU activity', append]]), rest, started, ...after);
      return [
        name,
        String(append),
        units(rest),
        events > 0 ? units(applied) : '–',
        events > 0 ? `**${append + unitsOf(applied, 'WRU')}**` : '–',
        events > 0 ? units(relay) : '–',
        (dollars(all) * 1e6).toFixed(2),
      ];
    }),
  );
}

function eventTable({ applied }: Measured): string {
  const names = projections.map(({ name }) => name);
  const byEvents = new Map<string, Map<string, number>>();
  for (const { events, projection, units } of applied) {
    const row = byEvents.get(events) ?? new Map<string, number>();
    byEvents.set(events, row.set(projection, Math.max(units, row.get(projection) ?? 0)));
  }
  const rows = [...byEvents].map(([events, row]) => [
    `\`${events}\``,
    ...names.map((name) => String(row.get(name) ?? '')),
  ]);
  return table(['event', ...names], rows);
}

function all({ processors, projections: applied, relay, messages, commits }: Worked): Usage {
  // An upper bound: projections and relay process many commits in one invocation under load
  return plus(processors, applied, relay, new Map([['Lambda', messages + 2 * commits]]));
}

const kinds = ['S3 write', 'S3 read', 'SQS', 'EventBridge', 'KMS', 'Lambda'];

function usageCells(usage: Usage): string[] {
  const counts = [unitsOf(usage, 'WRU'), unitsOf(usage, 'RRU'), ...kinds.map((kind) => usage.get(kind) ?? 0)];
  return [
    ...counts.map((count) => Math.round(count).toLocaleString('en')),
    dollars(usage).toFixed(dollars(usage) < 0.1 ? 5 : 3),
  ];
}

function runTable(runs: Run[]): string {
  const rows = runs.flatMap(({ files: size, first, unchanged }) => [
    [`first, ${size.toLocaleString('en')} files`, ...usageCells(all(first))],
    [`again, unchanged`, ...usageCells(all(unchanged))],
  ]);
  return table(['run', 'W', 'R', ...kinds, '$ of requests'], rows);
}

/** Extrapolates linearly from the smallest and the largest size. */
function extrapolated(runs: Run[], of: (run: Run) => Usage): Usage {
  const [small, large] = [runs[0], runs.at(-1)];
  if (!small || !large || small === large) throw new Error('Extrapolation needs two sizes.');
  const each = times(plus(of(large), times(of(small), -1)), 1 / (large.files - small.files));
  return plus(of(small), times(each, files - small.files));
}

/** The usage of runs with a million files. */
export function millionFiles(runs: Run[]): { first: Usage; unchanged: Usage } {
  return {
    first: extrapolated(runs, ({ first }) => all(first)),
    unchanged: extrapolated(runs, ({ unchanged }) => all(unchanged)),
  };
}

function million(runs: Run[]): string {
  const { first, unchanged } = millionFiles(runs);
  const sizes = [runs[0], runs.at(-1)].map((run) => run?.files.toLocaleString('en')).join(' and ');
  const head = ['where', 'W', 'R', '$'];
  const tables = new Set([...first.keys()].filter((kind) => /^[WR]RU /.test(kind)).map((kind) => kind.slice(4)));
  const rows = [
    ...[...tables].map((name): [string, Usage] => [
      `table \`${name}\``,
      new Map([...first].filter(([kind]) => kind === `WRU ${name}` || kind === `RRU ${name}`)),
    ]),
    ...kinds.map((kind): [string, Usage] => [kind, new Map([[kind, first.get(kind) ?? 0]])]),
  ].map(([where, usage]) => {
    const number = /^table/.test(where) ? '' : ` (${Math.round([...usage.values()][0] ?? 0).toLocaleString('en')})`;
    return [
      `${where}${number}`,
      Math.round(unitsOf(usage, 'WRU')).toLocaleString('en'),
      Math.round(unitsOf(usage, 'RRU')).toLocaleString('en'),
      dollars(usage).toFixed(4),
    ];
  });
  const compute = runs.at(-1);
  const cpu = compute ? (compute.first.cpuSeconds / compute.files) * files : 0;
  return [
    `Linear extrapolation from the runs of ${sizes} files.`,
    table(
      ['run', 'W', 'R', ...kinds, '$ of requests'],
      [
        ['first', ...usageCells(first)],
        ['again, unchanged', ...usageCells(unchanged)],
      ],
    ),
    'The first run by table and service:',
    table(head, rows),
    `Compute: the processors took ${cpu.toFixed(0)} CPU seconds a million files here, without the emulator.\n` +
      `At 1,769 MB a core that is $${(cpu * (1769 / 1024) * gbSecond).toFixed(2)}. Waiting for sources and AWS is not measured.`,
  ].join('\n\n');
}

function idleTable(stage: string, lines: Line[]): string {
  const total = lines.reduce((sum, line) => sum + line.dollars, 0);
  return table(
    [`stage \`${stage}\``, '$ a month'],
    [...lines.map(({ what, dollars: sum }) => [what, sum.toFixed(2)]), ['**together**', `**${total.toFixed(2)}**`]],
  );
}
