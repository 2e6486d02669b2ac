/** `npm run bench`: compares ListBackup with other backup tools, and its event store with another. See `--help`. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { borg } from './borg.ts';
import { browseTable, measureBrowse } from './browse.ts';
import type { Contestant } from './contestant.ts';
import { type Corpus, openCorpus } from './corpus.ts';
import { kopia } from './kopia.ts';
import { listbackup } from './listbackup.ts';
import { loadTable, measureLoad } from './load.ts';
import { type Result, table } from './report.ts';
import { countRequests, requestTable } from './requests.ts';
import { restic } from './restic.ts';
import { measureStores, storeTable } from './store.ts';
import { verify } from './verify.ts';

const help = `npm run bench -- [run | requests | browse | verify | corpus | store | load | feed | api | cost] [options]

  run       back up the corpus with each tool in turn, print medians and ratios to restic (default)
  requests  count the requests of ListBackup and restic to an S3 bucket (\`run\` does this too)
  browse    back up with ListBackup, time searches and a page of the root folder after a restart
  verify    back up with ListBackup, compare every listed and downloaded file; exit code 1 if one differs
  corpus    make the corpus in --folder, with its sha256 lists
  store     measure the event store and emmett-sqlite (no corpus; installs emmett-sqlite if missing)
  load      send 10,000 requests to \`npm start\` (no corpus)
  feed      measure relay and read models on the AWS emulator, relative to bare puts (no corpus)
  api       measure starts and requests of the API function (no corpus)
  cost      count the AWS usage of commands and runs on the emulator, write docs/cost.md (no corpus)

  --folder <path>     folder of corpus and work, kept afterwards (default: a temporary folder of about 4 GB)
  --corpus <name>     bench, tiny (100,000 small files), million or modules (like node_modules) (default: bench)
  --seed <text>       seed of the corpus (default: 1)
  --scale <number>    smaller corpus or shorter measures, above 0 to 1 (default: 1)
  --rounds <number>   measured rounds (default: 3)
  --warm-up <number>  rounds before them, not counted (default: 1)
  --tools <names>     of listbackup, restic, borg, borg-zstd, kopia (default: listbackup,restic,borg,kopia);
                      with listbackup alone, \`store\` skips emmett-sqlite
  --no-requests       \`run\` does not count requests
  --json <file>       write every measure to this file
  --files <numbers>   numbers of files in the runs of \`cost\` (default: 1000,11000)
  --print             \`cost\` prints the tables and writes no file

Linux only. Install the other tools with: apt-get install restic borgbackup time. kopia: https://kopia.io/docs`;

const contestants: { [name: string]: Contestant } = {
  listbackup,
  restic,
  borg: borg('borg', 'lz4'),
  'borg-zstd': borg('borg, zstd', 'zstd,3'),
  kopia,
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    folder: { type: 'string' },
    corpus: { type: 'string', default: 'bench' },
    seed: { type: 'string', default: '1' },
    scale: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '3' },
    'warm-up': { type: 'string', default: '1' },
    tools: { type: 'string' },
    'no-requests': { type: 'boolean', default: false },
    json: { type: 'string' },
    files: { type: 'string', default: '1000,11000' },
    print: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
const tools = (values.tools ?? 'listbackup,restic,borg,kopia').split(',');
const scale = Number(values.scale);
const rounds = Number(values.rounds);
const warmUps = Number(values['warm-up']);
const onCorpus = (work: (corpus: Corpus, folder: string) => Promise<void>) => async (folder: string) =>
  work(await openCorpus(folder, { name: values.corpus, seed: values.seed, scale }), folder);
const commands: { [name: string]: (folder: string) => Promise<void> } = {
  run: onCorpus(measureAll),
  requests: onCorpus(countAll),
  browse: onCorpus(browse),
  verify: onCorpus(verifyAll),
  corpus: onCorpus(async (corpus) => console.log(`${corpus.base.size} files in ${corpus.tree}`)),
  store: measureStore,
  load: measureRequests,
  feed: measureFollowers,
  api: measureStarts,
  cost: countCost,
};
const name = positionals[0] ?? 'run';
const command = commands[name];
if (values.help || command === undefined || positionals.length > 1) {
  console.log(help);
  process.exitCode = values.help ? 0 : 2;
} else {
  const folder =
    values.folder === undefined ? await mkdtemp(join(tmpdir(), 'listbackup-bench-')) : resolve(values.folder);
  try {
    await mkdir(folder, { recursive: true });
    await command(folder);
  } finally {
    if (values.folder === undefined) await rm(folder, { recursive: true, force: true });
  }
}

async function measureFollowers(): Promise<void> {
  // Loaded here, because it imports the emulator
  const { measureFeed } = await import('./feed/main.ts');
  const results = await measureFeed({ rounds, warmUps, scale }, console.log);
  if (values.json) await writeFile(values.json, `${JSON.stringify({ scale, rounds: results }, null, 2)}\n`);
}

async function measureStarts(folder: string): Promise<void> {
  // Loaded here, because it imports the CDK
  const { measureApi } = await import('./api.ts');
  await measureApi(folder, rounds, console.log);
}

async function countCost(folder: string): Promise<void> {
  // Loaded here, because it imports the CDK and the emulator
  const { cost } = await import('./cost/main.ts');
  await cost(folder, values.files.split(',').map(Number), !values.print, console.log);
}

async function measureAll(corpus: Corpus, folder: string): Promise<void> {
  const results: Result[] = [];
  const chosen: { contestant: Contestant; result: Result }[] = [];
  for (const tool of tools) {
    const contestant = contestants[tool];
    if (!contestant)
      throw new Error(`Tool ${tool} does not exist. Choose from ${Object.keys(contestants).join(', ')}.`);
    const version = await contestant.version();
    if (version === undefined) {
      console.log(`${tool} is not installed and is left out. Install it with: ${contestant.install}`);
      continue;
    }
    const result = { name: contestant.name, version, settings: contestant.settings, rounds: [] };
    results.push(result);
    chosen.push({ contestant, result });
  }
  for (let round = 0; round < warmUps + rounds; round++) {
    // The order alternates, so that no tool always runs after the same other one
    for (const { contestant, result } of round % 2 === 0 ? chosen : chosen.toReversed()) {
      const work = join(folder, 'work');
      await rm(work, { recursive: true, force: true });
      await mkdir(work);
      const measured = await contestant.round(corpus, work);
      await rm(work, { recursive: true });
      const counts = round >= warmUps;
      if (counts) result.rounds.push(measured);
      const seconds = Object.values(measured).map(({ wallSeconds }) => wallSeconds.toFixed(2));
      console.log(`${counts ? `round ${round - warmUps + 1}` : 'warm-up'}: ${contestant.name} ${seconds.join(', ')} s`);
    }
  }
  console.log(
    `\n${availableParallelism()} cores, corpus ${corpus.name}, scale ${corpus.scale}, seed ${corpus.seed}, medians of ${rounds}, ± half of the range, in brackets the ratio to restic\n`,
  );
  console.log(table(results, restic.name));
  console.log(`\n${results.map(({ name, version, settings }) => `- ${name}: ${version}; ${settings}`).join('\n')}`);
  if (values.json) await writeFile(values.json, `${JSON.stringify({ ...aboutCorpus(corpus), results }, null, 2)}\n`);
  if (!values['no-requests']) await countAll(corpus, folder);
}

function aboutCorpus({ name, scale, seed }: Corpus) {
  return { corpus: name, scale, seed };
}

async function browse(corpus: Corpus, folder: string): Promise<void> {
  const data = join(folder, 'data');
  await rm(data, { recursive: true, force: true });
  const measured = await measureBrowse(corpus, data);
  await rm(data, { recursive: true });
  console.log(browseTable(measured));
  if (values.json)
    await writeFile(values.json, `${JSON.stringify({ ...aboutCorpus(corpus), ...measured }, null, 2)}\n`);
}

async function countAll(corpus: Corpus, folder: string): Promise<void> {
  const counts = await countRequests(corpus, join(folder, 'work'), tools, console.log);
  console.log(`\n${requestTable(counts)}`);
}

async function verifyAll(corpus: Corpus, folder: string): Promise<void> {
  const data = join(folder, 'data');
  await rm(data, { recursive: true, force: true });
  const { listed, downloaded, bytes, wrong } = await verify(corpus, data, console.log);
  await rm(data, { recursive: true });
  for (const line of wrong) console.log(`✗ ${line}`);
  console.log(`${listed} listed, ${downloaded} downloaded (${bytes} bytes), ${wrong.length} wrong`);
  if (wrong.length > 0) process.exitCode = 1;
}

async function measureStore(folder: string): Promise<void> {
  const results = await measureStores(
    folder,
    { rounds, warmUps, scale, alone: values.tools === 'listbackup' },
    console.log,
  );
  console.log(
    `\n${availableParallelism()} cores, medians of ${rounds}, in brackets the ratio to ListBackup, µs: CPU time per operation\n`,
  );
  console.log(storeTable(results));
  console.log(
    `\n${results.map(({ name, settings, durability }) => `- ${name}: ${settings}; ${durability}`).join('\n')}`,
  );
  if (values.json) await writeFile(values.json, `${JSON.stringify({ scale, results }, null, 2)}\n`);
}

async function measureRequests(): Promise<void> {
  const rows = [];
  for (const atOnce of [64, 10_000]) {
    const load = { requests: Math.ceil(10_000 * scale), atOnce: Math.ceil(atOnce * scale) };
    rows.push({ load, measured: await measureLoad(load) });
  }
  console.log(loadTable(rows));
}
