/** Runs: read, pause, cancel and retry them. */
import * as z from 'zod';
import { cancelRun } from '../../commands/cancel-run.ts';
import { pauseRun } from '../../commands/pause-run.ts';
import { retryRun } from '../../commands/retry-run.ts';
import { getRun, listRunErrors, listRuns, runs as model } from '../../projections/runs.ts';
import { accepted, listRoute, ok, type RouteModule, route } from '../route.ts';
import { found, idField, idOf, idParams, jsonObject, nullableTimeOf, requestedRun, timeOf } from '../shapes.ts';

const count = (description: string) => z.int().min(0).meta({ description });

const runError = z
  .object({
    path: z.string().meta({ description: 'The path of the file. Empty: the error concerns the whole run.' }),
    code: z.string().meta({ description: 'The kind of error. Stable.' }),
    message: z.string().meta({ description: 'What happened, then what to do.' }),
  })
  .meta({ id: 'RunError', description: 'A file that failed or was skipped.' });

const kinds = ['backup', 'restore', 'verify', 'prune'] as const;
const status = z.enum(['requested', 'running', 'paused', 'succeeded', 'partial', 'failed', 'cancelled']);

const run = z
  .object({
    id: idOf('run'),
    kind: z.enum(kinds).meta({ description: 'What the run does. Always `backup` in this version.' }),
    trigger: z.enum(['manual', 'schedule', 'retry', 'api-key']).meta({
      description: 'Why the run was requested. `retry`: it reads what failed in an earlier run.',
    }),
    jobId: idOf('job'),
    sourceId: idOf('source'),
    status: status.meta({
      description:
        'The last four are final. `partial`: a restore point exists, but some files failed. `failed`: there is no restore point.',
    }),
    requestedAt: timeOf('When the run was requested.'),
    startedAt: nullableTimeOf('When the run started. Null before.'),
    finishedAt: nullableTimeOf('When the run ended. Null before.'),
    progress: z
      .object({
        filesTotal: count('Files in the source.'),
        filesDone: count('New and changed files that were stored.'),
        filesUnchanged: count('Files that did not change since the last restore point.'),
        filesDeleted: count('Files that were deleted from the source since the last restore point.'),
        filesFailed: count('Files that could not be read.'),
        filesSkipped: count('Files that cannot be backed up, such as sockets and devices.'),
        bytesRead: count('Bytes read from the source.'),
        bytesStored: count('Bytes that this run wrote to storage, after deduplication and compression.'),
        percent: z.number().min(0).max(100).nullable().meta({ description: 'Null until the run is planned.' }),
      })
      .meta({ description: 'Counts of files and bytes.' }),
    errors: z.array(runError).meta({
      description: 'The first 100 files that failed or were skipped. GET /runs/{id}/errors lists all.',
    }),
    cost: z
      .object({
        requests: count('Requests to the source and the storage.'),
        usd: z.number().min(0).meta({ description: 'US dollars.' }),
      })
      .meta({ description: 'The cost of the run.' }),
    result: jsonObject.nullable().meta({ description: 'Null for backups.' }),
  })
  .meta({ id: 'Run', description: 'One execution of a job.' });

const missing = (id: string) => `Run ${id} does not exist. List runs with GET /runs.`;

function pauseRoute(verb: 'pause' | 'resume', status: 'paused' | 'running', description: string) {
  return route({
    method: 'POST',
    url: `/runs/{id}/${verb}`,
    summary: `${verb === 'pause' ? 'Pause' : 'Resume'} a run`,
    description,
    tags: ['runs'],
    reads: [model.name],
    params: idParams('run'),
    answers: {
      202: z.object({ id: idOf('run'), status: z.literal(status).meta({ description: `Always \`${status}\`.` }) }),
    },
    problems: ['not-found', 'run-over'],
    handler: async ({ platform, command, params: { id } }) => {
      const { jobId, sourceId } = found(await getRun(platform, command.account, id), missing(id));
      const { written } = await pauseRun(platform, command, { runId: id, jobId, sourceId }, verb === 'pause');
      return accepted({ id, status }, { location: `/runs/${id}`, written });
    },
  });
}

export const runs: RouteModule = [
  listRoute({
    url: '/runs',
    summary: 'List runs',
    description:
      'Lists the runs of the account, newest first. With `status` a page may be short or empty although more follow.',
    tags: ['runs'],
    reads: [model.name],
    item: run,
    leadsTo: {
      200: [
        'GET /runs/{id}',
        'GET /runs/{id}/errors',
        'POST /runs/{id}/cancel',
        'POST /runs/{id}/pause',
        'POST /runs/{id}/retry',
      ],
    },
    filters: {
      jobId: idField('job').optional().meta({ description: 'Only runs of this job.' }),
      kind: z.enum(kinds).optional().meta({ description: 'Only runs of this kind.' }),
      status: status.optional().meta({ description: 'Only runs with this status.' }),
    },
    handler: async ({ platform, principal, page, query: { jobId, kind = 'backup', status } }) =>
      kind === 'backup' ? listRuns(platform, principal.account, { ...page, jobId, status }) : { items: [], next: null },
  }),
  route({
    method: 'GET',
    url: '/runs/{id}',
    summary: 'Get a run',
    description: 'Returns one run with its progress.',
    tags: ['runs'],
    reads: [model.name],
    params: idParams('run'),
    answers: { 200: run },
    problems: ['not-found'],
    handler: async ({ platform, principal, params: { id } }) =>
      ok(found(await getRun(platform, principal.account, id), missing(id))),
  }),
  listRoute({
    url: '/runs/{id}/errors',
    summary: 'List the errors of a run',
    description: 'Lists every file of a run that failed or was skipped.',
    tags: ['runs'],
    reads: [model.name],
    params: idParams('run'),
    item: runError,
    problems: ['not-found'],
    handler: async ({ platform, principal, params: { id }, page }) =>
      found(await listRunErrors(platform, principal.account, id, page), missing(id)),
  }),
  route({
    method: 'POST',
    url: '/runs/{id}/cancel',
    summary: 'Cancel a run',
    description: 'Ends a run. Its workers stop within half a minute. Earlier restore points stay.',
    tags: ['runs'],
    reads: [model.name],
    params: idParams('run'),
    answers: {
      202: z.object({
        id: idOf('run'),
        status: z.literal('cancelling').meta({ description: 'Always `cancelling`. GET /runs/{id} shows the end.' }),
      }),
    },
    problems: ['not-found', 'run-over'],
    handler: async ({ platform, command, params: { id } }) => {
      const run = found(await getRun(platform, command.account, id), missing(id));
      const { written } = await cancelRun(platform, command, { runId: id, jobId: run.jobId, sourceId: run.sourceId });
      return accepted({ id, status: 'cancelling' as const }, { location: `/runs/${id}`, written });
    },
  }),
  pauseRoute('pause', 'paused', 'Pauses a run. Its workers stop within half a minute. What they stored stays.'),
  pauseRoute('resume', 'running', 'Lets a paused run go on where it stopped.'),
  route({
    method: 'POST',
    url: '/runs/{id}/retry',
    summary: 'Retry a run',
    description:
      'Requests a new run that reads only what failed in a partial run. It lists the whole source if the run failed, ' +
      'if a later run succeeded, if a folder could not be listed, or if more than 10,000 files failed.',
    tags: ['runs'],
    reads: [model.name],
    params: idParams('run'),
    answers: { 202: requestedRun },
    problems: ['not-found', 'run-open', 'nothing-to-retry', 'source-unusable'],
    leadsTo: { 202: ['GET /runs/{id}', 'GET /runs/{id}/errors', 'POST /runs/{id}/cancel'] },
    handler: async ({ platform, command, params: { id } }) => {
      const run = found(await getRun(platform, command.account, id), missing(id));
      const isKnown = async (runId: string) => (await getRun(platform, command.account, runId)) !== undefined;
      const retry = await retryRun(platform, command, run, isKnown);
      const body = { id: retry.id, jobId: run.jobId, status: 'requested' as const };
      return accepted(body, { location: `/runs/${retry.id}`, written: retry.written });
    },
  }),
];
