/** Medians of the rounds, their noise and their ratios, as a Markdown table. */
import { type Measure, type Phase, phases, type Round } from './contestant.ts';

export type Result = { name: string; version: string; settings: string; rounds: Round[] };

export const titles: { [phase in Phase]: string } = {
  first: 'first',
  unchanged: 'again, unchanged',
  changed: 'again, changed',
};

const columns: { title: string; of: (measure: Measure) => number; text: (value: number) => string }[] = [
  { title: 'wall s', of: ({ wallSeconds }) => wallSeconds, text: (value) => value.toFixed(2) },
  { title: 'CPU s', of: ({ cpuSeconds }) => cpuSeconds, text: (value) => value.toFixed(2) },
  { title: 'peak memory', of: ({ peakBytes }) => peakBytes, text: bytesText },
  { title: 'stored', of: ({ storedBytes }) => storedBytes, text: bytesText },
  { title: 'beside', of: ({ besideBytes }) => besideBytes, text: bytesText },
];

/** Each median with its noise, and with its ratio to the reference in brackets, if the reference was measured. */
export function table(results: Result[], reference: string): string {
  const yardstick = results.find(({ name }) => name === reference);
  const lines = [
    row(['backup', 'tool', ...columns.map(({ title }) => title)]),
    row(['---', '---', ...columns.map(() => '---:')]),
  ];
  for (const phase of phases) {
    for (const result of results) {
      const cells = columns.map(({ of, text }) => {
        const values = result.rounds.map((round) => of(round[phase]));
        const value = median(values);
        const against = yardstick && yardstick !== result && median(yardstick.rounds.map((round) => of(round[phase])));
        const shown = `${text(value)}${noise(values)}`;
        return against ? `${shown} (${(value / against).toFixed(2)}×)` : shown;
      });
      lines.push(row([titles[phase], result.name, ...cells]));
    }
  }
  return lines.join('\n');
}

export function row(cells: string[]): string {
  return `| ${cells.join(' | ')} |`;
}

export function bytesText(bytes: number): string {
  const [size, unit] = bytes < 1024 ** 2 ? [bytes / 1024, 'KiB'] : [bytes / 1024 ** 2, 'MiB'];
  return `${size.toFixed(size < 100 ? 1 : 0)} ${unit}`;
}

/** Half of the range between the smallest and the largest value, relative to the median. Empty below 1 %. */
export function noise(values: number[]): string {
  const percent = ((Math.max(...values) - Math.min(...values)) / 2 / median(values)) * 100;
  return percent >= 1 && Number.isFinite(percent) ? ` ±${percent.toFixed(0)} %` : '';
}

/** For an even count the mean of the two middle values. */
export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.slice(Math.ceil(sorted.length / 2) - 1, Math.floor(sorted.length / 2) + 1);
  return middle.reduce((sum, value) => sum + value, 0) / middle.length;
}
