/** What was measured of relay and read models, as a Markdown table. */
import { median } from '../report.ts';
import type { Puts } from './puts.ts';

/** `waitSeconds`: of all requests together; `ownCpu`, `emulatorCpu`: seconds of processor time; `roundTrips`: of a hundred commits, 0 where not counted. */
export type Followed = {
  shape: string;
  readers: number;
  name: string;
  commits: number;
  seconds: number;
  requests: number;
  waitSeconds: number;
  ownCpu: number;
  emulatorCpu: number;
  roundTrips: number;
};

/** All rounds have the same lines, in the same order. */
export type Round = { puts: Puts[]; followed: Followed[] };

const columns: [title: string, of: (each: Followed, puts: number) => number, text: (value: number) => string][] = [
  ['commits a second', ({ commits, seconds }) => commits / seconds, (value) => value.toFixed(0)],
  ['of bare puts', ({ commits, seconds }, puts) => commits / seconds / puts, (value) => `${value.toFixed(2)}×`],
  ['requests a commit', ({ requests, commits }) => requests / commits, (value) => value.toFixed(2)],
  ['under way', ({ waitSeconds, seconds }) => waitSeconds / seconds, (value) => value.toFixed(1)],
  ['emulator busy', ({ emulatorCpu, seconds }) => emulatorCpu / seconds, (value) => `${(100 * value).toFixed(0)} %`],
  ['own CPU a commit, ms', ({ ownCpu, commits }) => (1000 * ownCpu) / commits, (value) => value.toFixed(2)],
  ['round trips', ({ roundTrips }) => roundTrips, (value) => (value === 0 ? '' : value.toFixed(0))],
];

/** Medians of the rounds; bare puts: so many at once that more would be no faster. */
export function feedTable(rounds: Round[]): string {
  const lines = [
    row(['commits', 'readers', 'follower', ...columns.map(([title]) => title)]),
    row(['---', '---:', '---', ...columns.map(() => '---:')]),
  ];
  for (const [index, { shape, readers, name }] of (rounds[0]?.followed ?? []).entries()) {
    const cells = columns.map(([, of, text]) => {
      const values = rounds.flatMap(({ puts, followed }) => {
        const each = followed[index];
        return each ? [of(each, Math.max(...puts.map(({ perSecond }) => perSecond)))] : [];
      });
      return text(median(values));
    });
    lines.push(row([shape, String(readers), name, ...cells]));
  }
  const [one, many] = [0, 1].map((index) => median(rounds.map(({ puts }) => puts[index]?.perSecond ?? 0)).toFixed(0));
  return `Bare conditional puts a second: ${one} one after another, ${many} with 64 at once.\n\n${lines.join('\n')}`;
}

function row(cells: string[]): string {
  return `| ${cells.join(' | ')} |`;
}
