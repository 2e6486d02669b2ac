/** The measures of relay and read models as a Markdown table. */
import { median } from '../report.ts';
import type { Asked, Spent } from './meter.ts';
import type { Puts } from './puts.ts';

/** `roundTrips` is per hundred commits, 0 if not counted. */
export type Followed = Spent &
  Asked & { shape: string; readers: number; name: string; commits: number; roundTrips: number };

/** All rounds must have the same lines in the same order. */
export type Round = { puts: Puts[]; followed: Followed[] };

const cpu = ({ ownCpu, emulatorCpu }: Spent) => ownCpu + emulatorCpu;

const columns: [title: string, of: (each: Followed, bare: Puts) => number, text: (value: number) => string][] = [
  ['commits a second', ({ commits, seconds }) => commits / seconds, (value) => value.toFixed(0)],
  [
    'CPU, in bare puts',
    (each, bare) => cpu(each) / each.commits / (cpu(bare) / bare.puts),
    (value) => value.toFixed(1),
  ],
  ['requests a commit', ({ requests, commits }) => requests / commits, (value) => value.toFixed(2)],
  ['write units a commit', ({ writeUnits, commits }) => writeUnits / commits, (value) => value.toFixed(2)],
  ['under way', ({ waitSeconds, seconds }) => waitSeconds / seconds, (value) => value.toFixed(1)],
  ['emulator busy', ({ emulatorCpu, seconds }) => emulatorCpu / seconds, (value) => `${(100 * value).toFixed(0)} %`],
  ['own CPU a commit, ms', ({ ownCpu, commits }) => (1000 * ownCpu) / commits, (value) => value.toFixed(2)],
  ['round trips', ({ roundTrips }) => roundTrips, (value) => (value === 0 ? '' : value.toFixed(0))],
];

/** Medians of the rounds. */
export function feedTable(rounds: Round[]): string {
  const lines = [
    row(['commits', 'readers', 'follower', ...columns.map(([title]) => title)]),
    row(['---', '---:', '---', ...columns.map(() => '---:')]),
  ];
  for (const [index, { shape, readers, name }] of (rounds[0]?.followed ?? []).entries()) {
    const cells = columns.map(([, of, text]) => {
      const values = rounds.flatMap(({ puts, followed }) => {
        const [each, bare] = [followed[index], puts.at(-1)];
        return each && bare ? [of(each, bare)] : [];
      });
      return text(median(values));
    });
    lines.push(row([shape, String(readers), name, ...cells]));
  }
  return `${putsText(rounds)}\n\n${lines.join('\n')}`;
}

function putsText(rounds: Round[]): string {
  const texts = (rounds[0]?.puts ?? []).map(({ atOnce }, index) => {
    const of = (value: (puts: Puts) => number) => median(rounds.flatMap(({ puts }) => puts[index] ?? []).map(value));
    const [rate, milliseconds] = [
      of(({ puts, seconds }) => puts / seconds),
      of((puts) => (1000 * cpu(puts)) / puts.puts),
    ];
    return `${atOnce} at once: ${rate.toFixed(0)} a second, ${milliseconds.toFixed(2)} ms of CPU each`;
  });
  return `Bare conditional puts, ${texts.join('; ')}.`;
}

function row(cells: string[]): string {
  return `| ${cells.join(' | ')} |`;
}
