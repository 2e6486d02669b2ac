/** Compares the event store with emmett-sqlite: on one disk, in turn, with a new process per round. */
import { execFile } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { settleDisk } from './processes.ts';
import { median } from './report.ts';
import { installPeers } from './store-emmett.ts';
import {
  type Rate,
  type StoreAnswer,
  type StoreKey,
  type StoreMeasures,
  type StoreTask,
  stores,
} from './store-process.ts';

export type StoreResult = { name: string; settings: string; durability: string; rounds: StoreMeasures[] };

const exec = promisify(execFile);
const seconds = 3;
const streams = 2500;
const eventsPerStream = 20;

const titles: { [measure in keyof StoreMeasures]: string } = {
  append1: 'durable appends, one after another',
  append64: 'durable appends, 64 at once',
  append512: 'durable appends, 512 at once',
  command64: 'load, decide, append, 64 at once',
  load: `loads of a stream of ${eventsPerStream}`,
  replay: 'replay, events, as they rest',
  replayOpened: 'replay, events, personal fields decrypted',
};

/** Every measure of every round. If emmett-sqlite cannot be installed, it is reported and left out. */
export async function measureStores(
  folder: string,
  { rounds, warmUps, scale, alone }: { rounds: number; warmUps: number; scale: number; alone: boolean },
  say: (line: string) => void,
): Promise<StoreResult[]> {
  const peers = !alone && (await installPeers(say));
  const keys = (Object.keys(stores) as StoreKey[]).filter((key) => key === 'listbackup' || peers);
  const results = new Map<StoreKey, StoreResult>();
  for (let round = 0; round < warmUps + rounds; round++) {
    for (const key of keys) {
      const { name, settings } = stores[key];
      const work = join(folder, 'work');
      await rm(work, { recursive: true, force: true });
      await mkdir(work, { recursive: true });
      await settleDisk();
      const task = {
        store: key,
        folder: work,
        seconds: seconds * scale,
        streams: Math.ceil(streams * scale),
        events: eventsPerStream,
      };
      const { durability, measures } = await inProcess(task);
      await rm(work, { recursive: true });
      const result = results.get(key) ?? { name, settings, durability, rounds: [] };
      results.set(key, result);
      if (round >= warmUps) result.rounds.push(measures);
      const numbers = Object.values(measures).map(({ perSecond }) => numberText(perSecond));
      say(`${round >= warmUps ? `round ${round - warmUps + 1}` : 'warm-up'}: ${name} ${numbers.join(', ')} /s`);
    }
  }
  return [...results.values()];
}

async function inProcess(task: StoreTask): Promise<StoreAnswer> {
  const args = [
    '--disable-warning=ExperimentalWarning',
    join(import.meta.dirname, 'store-process.ts'),
    JSON.stringify(task),
  ];
  const { stdout } = await exec(process.execPath, args);
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
}

/** One line per measure: the median per second, its ratio to the first store, and the CPU time per operation. */
export function storeTable(results: StoreResult[]): string {
  const lines = [row(['a second', ...results.map(({ name }) => name)]), row(['---', ...results.map(() => '---:')])];
  for (const measure of Object.keys(titles) as (keyof StoreMeasures)[]) {
    const medianOf = ({ rounds }: StoreResult, of: keyof Rate) => median(rounds.map((round) => round[measure][of]));
    const own = results[0] && medianOf(results[0], 'perSecond');
    const cells = results.map((result, i) => {
      const value = medianOf(result, 'perSecond');
      const against = i === 0 || !own ? '' : ` (${(value / own).toFixed(2)}×)`;
      return `${numberText(value)}${against}, ${medianOf(result, 'cpuMicroseconds').toFixed(1)} µs`;
    });
    lines.push(row([titles[measure], ...cells]));
  }
  return lines.join('\n');
}

function row(cells: string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function numberText(value: number): string {
  return Math.round(value).toLocaleString('en');
}
