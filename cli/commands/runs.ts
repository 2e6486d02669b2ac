/** Runs: the word to back up now, and what became of it. */
import { type Command, InvalidArgumentError } from 'commander';
import { all, answered, atMost, itemsOf, type Schemas } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { allJobs, findJob } from '../naming.ts';
import { bytes, type Column, json, jsonArray, line, note, noteMore, table, time } from '../output.ts';
import { showEnd, watchRun } from '../watch-run.ts';

type Run = Schemas['Run'];

const exits = `
It ends with 0 when everything was saved, 2 when some files could not be, 1 when the run failed or was called off.
Ctrl+C ends the watching (130), not the run.`;

/** A count given by a person, for `--limit`. */
export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Give a whole number, 1 or more.');
  return Number(text);
}

export function addRunCommands(program: Command): void {
  program
    .command('run')
    .argument('<job>', 'an id, a name, or how a name begins')
    .summary('back up now')
    .description('Runs a job now. Without --follow it says which run that is, and ends.')
    .option('-f, --follow', 'show how it goes until it has ended')
    .addHelpText('after', exits)
    .action(async (called: string, options: { follow?: boolean }, command: Command) => {
      const api = await signedIn(command);
      const { id } = await findJob(api, called);
      const run = await answered(api.POST('/jobs/{id}/run', { params: { path: { id } } }));
      if (options.follow) return watchRun(api, run.id, wantsJson(command));
      // the read carries the token of the write: the next command sees the run
      await api.GET('/runs/{id}', { params: { path: { id: run.id } } });
      if (wantsJson(command)) return json(run);
      await line(`Requested ${run.id}.`);
      note(`Follow it: \`listbackup runs follow ${run.id}\`.`);
    });

  const runs = program
    .command('runs')
    .summary('what became of it: list, show, follow, cancel, errors')
    .description('Runs, the newest first.');

  runs
    .command('list', { isDefault: true })
    .summary('list them, the newest first')
    .option('--job <job>', 'only of this job: an id, a name, or how a name begins')
    .option('--limit <n>', 'how many at most', wholeNumber, 50)
    .action(async (options: { job?: string; limit: number }, command: Command) => {
      const api = await signedIn(command);
      const job = options.job === undefined ? undefined : await findJob(api, options.job);
      const filter = job ? { jobId: job.id } : {};
      const list = (limit: number) =>
        itemsOf((query) => api.GET('/runs', { params: { query: { ...query, ...filter } } }), limit);
      if (wantsJson(command)) return jsonArray(list(options.limit));
      const items = atMost(options.limit, list, () => noteMore(options.limit));
      const names = new Map((await all(allJobs(api))).map(({ id, name }) => [id, name]));
      const columns: Column<Run>[] = [
        { title: 'ID', of: ({ id }) => id },
        { title: 'JOB', of: ({ jobId }) => names.get(jobId) ?? jobId },
        { title: 'STATUS', of: ({ status }) => status },
        { title: 'REQUESTED', of: ({ requestedAt }) => time(requestedAt) },
        { title: 'FILES', of: ({ progress }) => String(progress.filesTotal), right: true },
        { title: 'FAILED', of: ({ progress }) => String(progress.filesFailed), right: true },
        { title: 'READ', of: ({ progress }) => sizeCell(progress.bytesRead), right: true },
        { title: 'STORED', of: ({ progress }) => sizeCell(progress.bytesStored), right: true },
      ];
      if ((await table(items, columns)) === 0) note('There is no run yet. Run a job: `listbackup run <job> --follow`.');
    });

  runs
    .command('show')
    .argument('<run>', 'its id')
    .summary('look at one')
    .action(async (id: string, _options, command: Command) => {
      const run = await answered((await signedIn(command)).GET('/runs/{id}', { params: { path: { id } } }));
      return wantsJson(command) ? json(run) : showEnd(run);
    });

  runs
    .command('follow')
    .argument('<run>', 'its id')
    .summary('show how one goes until it has ended')
    .addHelpText('after', exits)
    .action(async (id: string, _options, command: Command) =>
      watchRun(await signedIn(command), id, wantsJson(command)),
    );

  runs
    .command('cancel')
    .argument('<run>', 'its id')
    .summary('call one off')
    .description('Calls a run off: it ends within one step. What was backed up before stays as it is.')
    .action(async (id: string, _options, command: Command) => {
      const answer = await answered((await signedIn(command)).POST('/runs/{id}/cancel', { params: { path: { id } } }));
      return wantsJson(command) ? json(answer) : line(`Run ${id} is being called off.`);
    });

  runs
    .command('errors')
    .argument('<run>', 'its id')
    .summary('every file of one that failed or was skipped')
    .action(async (id: string, _options, command: Command) => {
      const api = await signedIn(command);
      const items = itemsOf((query) => api.GET('/runs/{id}/errors', { params: { path: { id }, query } }));
      if (wantsJson(command)) return jsonArray(items);
      const count = await table(items, [
        { title: 'PATH', of: ({ path }) => path },
        { title: 'CODE', of: ({ code }) => code },
        { title: 'MESSAGE', of: ({ message }) => message },
      ]);
      if (count === 0) note('Nothing failed and nothing was skipped.');
    });
}

/** Exact for pipes, short for people. */
export function sizeCell(count: number): string {
  return process.stdout.isTTY ? bytes(count) : String(count);
}
