/** `npm run soak`: the story (story.ts) over a box that is killed at random, so many seeds of it. `npm run soak -- --help` says how. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { endBoxes } from './box-process.ts';
import { folderFor, planOf, prepare, tell, undisturbed } from './story.ts';

const help = `npm run soak -- [options]

  --seeds <n>     so many seeds, from 1 (default: 1000)
  --from <n>      from this one on
  --seed <n>      this one alone
  --at-once <n>   seeds at a time (default: as many as there are cores)

Each seed has people back up, fail, download and change things while the home is killed at random, by a signal at some moment or at some
boundary, and started again. In the end read models, events, restored bytes and source have to be what they are without a kill, and
the checker has to find nothing. The first seed that fails ends it; its data folder is kept, and the command that repeats it printed.`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '1000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    'at-once': { type: 'string', default: String(availableParallelism()) },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) console.log(help);
else await soak();

async function soak(): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'listbackup-soak-'));
  const [first, count] = values.seed === undefined ? [Number(values.from), Number(values.seeds)] : [Number(values.seed), 1];
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  const beginning = await prepare(root);
  const expected = (await tell(beginning, undisturbed, await folderFor(beginning, 'undisturbed'))).outcome;
  let next = first;
  let [done, lives] = [0, 0];
  let failure: { seed: number; folder: string; error: unknown } | undefined;

  async function work(): Promise<void> {
    while (next < first + count && !failure) {
      const seed = next++;
      const folder = await folderFor(beginning, `seed-${seed}`);
      try {
        const told = await tell(beginning, planOf(seed), folder);
        if (!isDeepStrictEqual(told.outcome, expected)) throw new Error(`another outcome:\n${different(told.outcome, expected)}`);
        lives += told.lives;
        await rm(folder, { recursive: true });
        if (++done % 10 === 0) console.log(`${done} of ${count} seeds, ${(seconds() / done).toFixed(2)} s each, ${lives - done} restarts`);
      } catch (error) {
        failure ??= { seed, folder, error };
      }
    }
  }
  await Promise.all(Array.from({ length: Number(values['at-once']) }, work));
  endBoxes();
  if (failure) {
    const { seed, folder, error } = failure;
    console.error(`\nseed ${seed} failed: ${JSON.stringify(planOf(seed))}`, error);
    console.error(`\nits data folder: ${join(folder, 'data')}\nagain: npm run soak -- --seed ${seed}`);
    process.exitCode = 1;
    return;
  }
  await rm(root, { recursive: true });
  console.log(`${done} seeds in ${seconds().toFixed(0)} s, ${lives - done} restarts: nothing was lost, doubled or damaged`);
}

/** The parts of the outcome that differ, both ways. */
function different(is: { [part: string]: unknown }, should: { [part: string]: unknown }): string {
  return Object.keys(should)
    .filter((part) => !isDeepStrictEqual(is[part], should[part]))
    .map((part) => `${part}: ${JSON.stringify(is[part])}\nnot ${JSON.stringify(should[part])}`)
    .join('\n');
}
