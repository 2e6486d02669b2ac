/** `npm run soak`: the story (story.ts) over a box that is killed at random, so many seeds of it. `npm run soak -- --help` says how. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { deployToMinistack } from '../emulator/deploy.ts';
import { startMinistack } from '../emulator/ministack.ts';
import { endBoxes } from './box-process.ts';
import { openTarget, tellOnAws } from './killed-functions.ts';
import { folderFor, planOf, prepare, tell, undisturbed } from './story.ts';

const help = `npm run soak -- [options]

  --seeds <n>     so many seeds, from 1 (default: 1000, with --aws 50)
  --from <n>      from this one on
  --seed <n>      this one alone
  --aws           on an AWS emulator, with the CDK app deployed to it; its functions are killed instead
  --at-once <n>   seeds at a time (default: as many as there are cores)

Each seed has people back up, fail, download and change things while the home is killed at random, by a signal at some moment or at some
boundary, and started again. In the end read models, events, restored bytes and source have to be what they are without a kill, and
the checker has to find nothing. The first seed that fails ends it; its data folder is kept, and the command that repeats it printed.`;

const { values } = parseArgs({
  options: {
    seeds: { type: 'string' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    aws: { type: 'boolean', default: false },
    'at-once': { type: 'string', default: String(availableParallelism()) },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) console.log(help);
else {
  const [first, count] =
    values.seed === undefined
      ? [Number(values.from), Number(values.seeds ?? (values.aws ? 50 : 1000))]
      : [Number(values.seed), 1];
  await (values.aws ? soakOnAws : soak)(first, count);
}

type Told = { restarts: number };
type Seeds = {
  first: number;
  count: number;
  tell(seed: number): Promise<Told>;
  whereKept(seed: number): string;
  again(seed: number): string;
};

/** Tells so many seeds, several at once, until all are told or one fails. */
async function tellAll({ first, count, tell, whereKept, again }: Seeds): Promise<void> {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  let next = first;
  let [done, restarts] = [0, 0];
  let failure: { seed: number; error: unknown } | undefined;

  async function work(): Promise<void> {
    while (next < first + count && !failure) {
      const seed = next++;
      try {
        const told = await tell(seed);
        restarts += told.restarts;
        if (++done % 10 === 0)
          console.log(`${done} of ${count} seeds, ${(seconds() / done).toFixed(2)} s each, ${restarts} restarts`);
      } catch (error) {
        failure ??= { seed, error };
      }
    }
  }
  const summary = () => `${done} seeds in ${seconds().toFixed(0)} s, ${restarts} restarts`;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      endBoxes();
      console.log(`${summary()}: nothing was lost, doubled or damaged so far; ended before seed ${next}`);
      process.exit(130);
    });
  }
  await Promise.all(Array.from({ length: Number(values['at-once']) }, work));
  if (failure) {
    const { seed, error } = failure;
    console.error(`\nseed ${seed} failed:`, error);
    console.error(`\n${whereKept(seed)}\nagain: ${again(seed)}`);
    process.exitCode = 1;
  } else console.log(`${summary()}: nothing was lost, doubled or damaged`);
}

async function soak(first: number, count: number): Promise<void> {
  const root = await mkdtemp(join(tmpdir(), 'listbackup-soak-'));
  const beginning = await prepare(root);
  const expected = (await tell(beginning, undisturbed, await folderFor(beginning, 'undisturbed'))).outcome;
  await tellAll({
    first,
    count,
    async tell(seed) {
      const folder = await folderFor(beginning, `seed-${seed}`);
      const { outcome, lives } = await tell(beginning, planOf(seed), folder, expected);
      if (!isDeepStrictEqual(outcome, expected)) throw new Error(`another outcome:\n${different(outcome, expected)}`);
      await rm(folder, { recursive: true });
      return { restarts: lives - 1 };
    },
    whereKept: (seed) =>
      `${JSON.stringify(planOf(seed).fates)}\nits data folder: ${join(root, `seed-${seed}`, 'data')}`,
    again: (seed) => `npm run soak -- --seed ${seed}`,
  });
  endBoxes();
  if (!process.exitCode) await rm(root, { recursive: true });
}

async function soakOnAws(first: number, count: number): Promise<void> {
  const ministack = await startMinistack();
  try {
    const settings = { LISTBACKUP_ALLOW_HOSTS: new URL(ministack.endpoint).host, LISTBACKUP_RATE_LIMIT: '0' };
    const target = await openTarget(
      (await deployToMinistack(ministack.endpoint, { settings })).url,
      ministack.environment,
    );
    await tellAll({
      first,
      count,
      tell: async (seed) => ({ restarts: (await tellOnAws(target, seed)).length }),
      whereKept: () => `the emulator's last words:\n${ministack.output().slice(-4000)}`,
      again: (seed) => `npm run soak -- --aws --seed ${seed}`,
    });
    await target.close();
  } finally {
    await ministack.stop();
  }
}

/** The parts of the outcome that differ, both ways. */
function different(is: { [part: string]: unknown }, should: { [part: string]: unknown }): string {
  return Object.keys(should)
    .filter((part) => !isDeepStrictEqual(is[part], should[part]))
    .map((part) => `${part}: ${JSON.stringify(is[part])}\nnot ${JSON.stringify(should[part])}`)
    .join('\n');
}
