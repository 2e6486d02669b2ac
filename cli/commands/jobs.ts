/** `jobs`: a job backs up one source. */
import type { Command } from 'commander';
import { all, answered } from '../client.ts';
import { signedIn, wantsJson } from '../context.ts';
import { allJobs, allSources, argumentTexts, findJob, findSource, hints, type Job, quoted } from '../naming.ts';
import { type Column, json, jsonArray, line, note, printable, printList, time } from '../output.ts';
import { mustConfirm } from '../prompt.ts';

export function addJobCommands(program: Command): void {
  const jobs = program
    .command('jobs')
    .summary('manage jobs: list, add, show, rename, remove')
    .description('A job backs up one source. <job> is an id, a name, or the beginning of either.');

  jobs
    .command('list', { isDefault: true })
    .summary('list jobs')
    .description('Lists the jobs of the account.')
    .action(async (_options, command: Command) => {
      const api = await signedIn(command);
      if (wantsJson(command)) return jsonArray(allJobs(api));
      const names = new Map((await all(allSources(api))).map(({ id, name }) => [id, name]));
      const columns: Column<Job>[] = [
        { title: 'ID', of: ({ id }) => id },
        { title: 'NAME', of: ({ name }) => name },
        { title: 'SOURCE', of: ({ sourceId }) => names.get(sourceId) ?? sourceId },
        { title: 'STATUS', of: ({ status }) => status },
        { title: 'CREATED', of: ({ createdAt }) => time(createdAt) },
      ];
      return printList(allJobs(api), columns, `There is no job yet. ${hints.job}`);
    });

  jobs
    .command('add')
    .argument('<source>', argumentTexts.source)
    .summary('add a job')
    .description('Adds a job for a source. Run it with `listbackup run <job>`.')
    .option('--name <name>', 'name of the job (default: name of the source)')
    .action(async (called: string, options: { name?: string }, command: Command) => {
      const api = await signedIn(command);
      const source = await findSource(api, called);
      const job = await answered(
        api.POST('/jobs', { body: { name: options.name ?? source.name, sourceId: source.id } }),
      );
      // Wait until reads see the job, so that the next command finds it.
      await api.GET('/jobs/{id}', { params: { path: { id: job.id } } });
      if (wantsJson(command)) return json(job);
      await line(`Added ${printable(job.name)} (${job.id}).`);
      const isUnique = (await all(allJobs(api))).filter(({ name }) => name === job.name).length === 1;
      if (!isUnique)
        note(
          `Another job is called ${printable(job.name)}. Rename this one with \`listbackup jobs rename ${job.id} <name>\`.`,
        );
      note(`Run it with \`listbackup run ${isUnique ? quoted(job.name) : job.id} --follow\`.`);
    });

  jobs
    .command('show')
    .argument('<job>', argumentTexts.job)
    .summary('show a job')
    .description('Shows the name, source and status of a job.')
    .action(async (called: string, _options, command: Command) => {
      const job = await findJob(await signedIn(command), called);
      if (wantsJson(command)) return json(job);
      const { id, name, sourceId, status, createdAt } = job;
      for (const [title, value] of Object.entries({ id, name, source: sourceId, status, created: time(createdAt) })) {
        await line(`${title}\t${printable(value)}`);
      }
    });

  jobs
    .command('rename')
    .argument('<job>', argumentTexts.job)
    .argument('<name>', 'the new name')
    .summary('rename a job')
    .description('Changes the name of a job.')
    .action(async (called: string, name: string, _options, command: Command) => {
      const api = await signedIn(command);
      const { id } = await findJob(api, called);
      const job = await answered(api.PUT('/jobs/{id}', { params: { path: { id } }, body: { name } }));
      await api.GET('/jobs/{id}', { params: { path: { id } } });
      return wantsJson(command) ? json(job) : line(`Renamed to ${printable(job.name)} (${id}).`);
    });

  jobs
    .command('remove')
    .argument('<job>', argumentTexts.job)
    .summary('delete a job')
    .description('Deletes a job. Its backups stay available under their source.')
    .option('--yes', 'do not ask for confirmation')
    .action(async (called: string, options: { yes?: boolean }, command: Command) => {
      const api = await signedIn(command);
      const { id, name } = await findJob(api, called);
      if (!options.yes) await mustConfirm(`Delete job ${printable(name)}?`);
      await answered(api.DELETE('/jobs/{id}', { params: { path: { id } } }));
      await api.GET('/jobs', { params: { query: { limit: 1 } } });
      return wantsJson(command)
        ? json({ id, removed: true })
        : line(`Deleted ${printable(name)} (${id}). Its backups stay available.`);
    });
}
