/** `npm run soak`: runs the story (story.ts) with many seeds while the server is killed at random. See `--help`. */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { deployToMinistack } from '../emulator/deploy.ts';
import { startMinistack } from '../emulator/ministack.ts';
import { killServers } from './killable-server.ts';
import { openTarget, tellOnAws } from './killed-functions.ts';
import { folderFor, planOf, prepare, tell, undisturbed } from './soak-scenario.ts';

const help = `npm run soak -- [options]

  --seeds <n>     number of seeds, from 1 (default: 1000, with --aws 50)
  --from <n>      first seed
  --seed <n>      only this seed
  --aws           deploy the CDK app to an AWS emulator, and kill its functions instead
  --at-once <n>   concurrent seeds (default: the number of cores)

In each seed users back up, fail, download and change things. The server is killed at random moments and boundaries
and started again. Read models, events, restored bytes and source must then equal those of a run without kills, and
the doctor must find nothing. The first failing seed ends the soak. Its data folder is kept, and the command that
repeats it is printed.`;

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

type Seeds = {
  first: number;
  count: number;
  runSeed(seed: number): Promise<{ restarts: number }>;
  whereKept(seed: number): string;
  again(seed: number): string;
};

/** Runs the seeds, several at once, until all passed or one fails. */
async function runAll({ first, count, runSeed, whereKept, again }: Seeds): Promise<void> {
  const began = performance.now();
  const seconds = () => (performance.now() - began) / 1000;
  let next = first;
  let [done, restarts] = [0, 0];
  let failure: { seed: number; error: unknown } | undefined;

  async function work(): Promise<void> {
    while (next < first + count && !failure) {
      const seed = next++;
      try {
        restarts += (await runSeed(seed)).restarts;
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
      killServers();
      console.log(`${summary()}: nothing was lost, doubled or damaged so far. Stopped before seed ${next}`);
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
  await runAll({
    first,
    count,
    async runSeed(seed) {
      const folder = await folderFor(beginning, `seed-${seed}`);
      const { outcome, restarts } = await tell(beginning, planOf(seed), folder, expected);
      if (!isDeepStrictEqual(outcome, expected))
        throw new Error(`The outcome differs:\n${different(outcome, expected)}`);
      await rm(folder, { recursive: true });
      return { restarts: restarts - 1 };
    },
    whereKept: (seed) =>
      `${JSON.stringify(planOf(seed).plannedKills)}\nits data folder: ${join(root, `seed-${seed}`, 'data')}`,
    again: (seed) => `npm run soak -- --seed ${seed}`,
  });
  killServers();
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
    await runAll({
      first,
      count,
      runSeed: async (seed) => ({ restarts: (await tellOnAws(target, seed)).length }),
      whereKept: () => `the last output of the emulator:\n${ministack.output().slice(-4000)}`,
      again: (seed) => `npm run soak -- --aws --seed ${seed}`,
    });
    await target.close();
  } finally {
    await ministack.stop();
  }
}

/** The parts of the outcome that differ, with both values. */
function different(actual: { [part: string]: unknown }, expected: { [part: string]: unknown }): string {
  return Object.keys(expected)
    .filter((part) => !isDeepStrictEqual(actual[part], expected[part]))
    .map((part) => `${part}: ${JSON.stringify(actual[part])}\nnot ${JSON.stringify(expected[part])}`)
    .join('\n');
}
