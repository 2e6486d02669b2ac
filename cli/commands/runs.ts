/** `run` and `runs`: start, follow and inspect runs of jobs. */
import { type Command, InvalidArgumentError } from 'commander';
import { type Api, all, answered, atMost, itemsOf, type Schemas } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { allJobs, argumentTexts, findJob, runIdOf } from '../naming.ts';
import { bytes, type Column, json, jsonArray, line, note, noteMore, printList, time } from '../output.ts';
import { pathText } from '../path-text.ts';
import { showRun, watchRun } from '../watch-run.ts';

type Run = Schemas['Run'];

const exits = `
Exit code: 0 all files saved, 2 some files not saved, 1 the run failed or was
cancelled. Ctrl+C stops following (130), not the run.`;

/** Parses a count of 1 or more. */
export function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Use a whole number of 1 or more.');
  return Number(text);
}

export function addRunCommands(program: Command): void {
  program
    .command('run')
    .argument('<job>', argumentTexts.job)
    .summary('run a job now')
    .description('Starts a run of a job and prints the id of the run.')
    .option('-f, --follow', 'show the progress until the run ends')
    .addHelpText('after', exits)
    .action(async (called: string, options: { follow?: boolean }, command: Command) => {
      const api = await signedIn(command);
      const { id } = await findJob(api, called);
      const run = await answered(api.POST('/jobs/{id}/run', { params: { path: { id } } }));
      return showRequested(api, run, options, command);
    });

  const runs = program
    .command('runs')
    .summary('list, show, follow, pause, resume, cancel and retry runs')
    .description('A run is one execution of a job.');

  runs
    .command('list', { isDefault: true })
    .summary('list runs, newest first')
    .description('Lists the runs of all jobs or of one job, newest first.')
    .option('--job <job>', 'only runs of this job: an id, a name, or the beginning of either')
    .option('--limit <n>', 'maximum number of runs', wholeNumber, 50)
    .action(async (options: { job?: string; limit: number }, command: Command) => {
      const api = await signedIn(command);
      const job = options.job === undefined ? undefined : await findJob(api, options.job);
      const filter = job ? { jobId: job.id } : {};
      const list = (limit: number) =>
        itemsOf((query) => api.GET('/runs', { params: { query: { ...query, ...filter } } }), limit);
      if (wantsJson(command)) return jsonArray(list(options.limit));
      const items = atMost(options.limit, list, () => noteMore(options.limit, 'runs'));
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
      return printList(items, columns, 'There is no run yet. Start a run with `listbackup run <job> --follow`.');
    });

  runs
    .command('show')
    .argument('<run>', 'id of a run')
    .summary('show a run')
    .description('Shows the status and the counts of a run.')
    .action(async (text: string, _options, command: Command) => {
      const id = runIdOf(text);
      const run = await answered((await signedIn(command)).GET('/runs/{id}', { params: { path: { id } } }));
      return wantsJson(command) ? json(run) : showRun(run);
    });

  runs
    .command('follow')
    .argument('<run>', 'id of a run')
    .summary('show the progress of a run until it ends')
    .description('Shows the progress of a run until it ends, then its result.')
    .addHelpText('after', exits)
    .action(async (text: string, _options, command: Command) =>
      watchRun(await signedIn(command), runIdOf(text), wantsJson(command)),
    );

  runs
    .command('cancel')
    .argument('<run>', 'id of a run')
    .summary('cancel a run')
    .description('Cancels a run. It ends after its current step and creates no restore point. Older backups stay.')
    .action(async (text: string, _options, command: Command) => {
      const id = runIdOf(text);
      const api = await signedIn(command);
      const answer = await answered(api.POST('/runs/{id}/cancel', { params: { path: { id } } }));
      if (wantsJson(command)) return json(answer);
      const { status } = await answered(api.GET('/runs/{id}', { params: { path: { id } } }));
      return line(status === 'cancelled' ? `Run ${id} is cancelled.` : `Cancelling run ${id}.`);
    });

  for (const verb of ['pause', 'resume'] as const)
    runs
      .command(verb)
      .argument('<run>', 'id of a run')
      .summary(verb === 'pause' ? 'pause a run' : 'let a paused run go on')
      .description(
        verb === 'pause'
          ? 'Pauses a run within half a minute. What it stored stays.'
          : 'Lets a paused run go on where it stopped.',
      )
      .action(async (text: string, _options, command: Command) => {
        const id = runIdOf(text);
        const api = await signedIn(command);
        const answer = await answered(api.POST(`/runs/{id}/${verb}`, { params: { path: { id } } }));
        if (wantsJson(command)) return json(answer);
        return line(verb === 'pause' ? `Run ${id} is paused.` : `Run ${id} goes on.`);
      });

  runs
    .command('retry')
    .argument('<run>', 'id of a run')
    .summary('read what failed in a run')
    .description('Starts a new run that reads only what failed in a partial run. A failed run starts again.')
    .option('-f, --follow', 'show the progress until the run ends')
    .addHelpText('after', exits)
    .action(async (text: string, options: { follow?: boolean }, command: Command) => {
      const id = runIdOf(text);
      const api = await signedIn(command);
      const run = await answered(api.POST('/runs/{id}/retry', { params: { path: { id } } }));
      return showRequested(api, run, options, command);
    });

  runs
    .command('errors')
    .argument('<run>', 'id of a run')
    .summary('list the failed and skipped files of a run')
    .description('Lists each failed or skipped file of a run with the reason.')
    .action(async (text: string, _options, command: Command) => {
      const id = runIdOf(text);
      const api = await signedIn(command);
      const items = itemsOf((query) => api.GET('/runs/{id}/errors', { params: { path: { id }, query } }));
      if (wantsJson(command)) return jsonArray(items);
      const columns: Column<Schemas['RunError']>[] = [
        { title: 'PATH', of: ({ path }) => pathText(path) },
        { title: 'CODE', of: ({ code }) => code },
        { title: 'MESSAGE', of: ({ message }) => message },
      ];
      return printList(items, columns, 'No file failed or was skipped.');
    });
}

/** Prints the id of a new run, or follows the run. */
async function showRequested(
  api: Api,
  run: Schemas['RequestedRun'],
  { follow }: { follow?: boolean },
  command: Command,
): Promise<void> {
  if (follow) return watchRun(api, run.id, wantsJson(command));
  // Wait until reads see the run, so that the next command finds it.
  await api.GET('/runs/{id}', { params: { path: { id: run.id } } });
  if (wantsJson(command)) return json(run);
  await line(process.stdout.isTTY ? `Requested run ${run.id}.` : run.id);
  note(`Follow it with \`listbackup runs follow ${run.id}\`.`);
}

/** Formats a size: rounded in a terminal, exact bytes in a pipe. */
export function sizeCell(count: number): string {
  return process.stdout.isTTY ? bytes(count) : String(count);
}
