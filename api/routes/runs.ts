/** Runs: what became of a job, while it happens and after. */
import * as z from 'zod';
import { cancelRun } from '../../commands/cancel-run.ts';
import { getRun, listRunErrors, listRuns, runs as model } from '../../projections/runs.ts';
import { accepted, listRoute, ok, type RouteModule, route } from '../route.ts';
import { found, idField, idParams } from '../shapes.ts';

const count = z.int().min(0);

const runError = z.object({ path: z.string(), code: z.string(), message: z.string() }).meta({ id: 'RunError' });

const run = z
  .object({
    id: z.string(),
    jobId: z.string(),
    sourceId: z.string(),
    status: z.enum(['requested', 'running', 'paused', 'succeeded', 'partial', 'failed', 'cancelled']),
    requestedAt: z.iso.datetime(),
    startedAt: z.iso.datetime().nullable(),
    finishedAt: z.iso.datetime().nullable(),
    progress: z.object({
      filesTotal: count,
      filesDone: count,
      filesUnchanged: count,
      filesDeleted: count,
      filesFailed: count,
      filesSkipped: count,
      bytesRead: count.meta({ description: 'Bytes read from the source.' }),
      bytesStored: count.meta({ description: 'Bytes put to blobs by this run, after deduplication and compression.' }),
      percent: z.number().min(0).max(100).nullable().meta({ description: 'null until the run is planned.' }),
    }),
    errors: z
      .array(runError)
      .meta({ description: 'The first 100 files that failed or were skipped; an empty path is about the whole run.' }),
    cost: z.object({ requests: count, usd: z.number().min(0) }),
  })
  .meta({ id: 'Run' });

const missing = (id: string) => `There is no run ${id}. GET /runs lists yours.`;

export const runs: RouteModule = [
  listRoute({
    url: '/runs',
    summary: 'List runs, newest first',
    tags: ['runs'],
    reads: [model.name],
    item: run,
    leadsTo: { 200: ['GET /runs/{id}', 'GET /runs/{id}/errors', 'POST /runs/{id}/cancel'] },
    filters: { jobId: idField('job').optional() },
    handler: ({ platform, principal, page, query }) =>
      listRuns(platform, principal.account, { ...page, jobId: query.jobId }),
  }),
  route({
    method: 'GET',
    url: '/runs/{id}',
    summary: 'Look at a run',
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
    summary: 'Every failed or skipped file of a run',
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
    summary: 'Call a run off',
    description: 'It ends within one step. What the job backed up before stays as it is.',
    tags: ['runs'],
    reads: [model.name],
    params: idParams('run'),
    answers: { 202: z.object({ id: z.string(), status: z.literal('cancelling') }) },
    problems: ['not-found', 'run-over'],
    handler: async ({ platform, command, params: { id } }) => {
      const run = found(await getRun(platform, command.account, id), missing(id));
      const { written } = await cancelRun(platform, command, { runId: id, jobId: run.jobId, sourceId: run.sourceId });
      return accepted({ id, status: 'cancelling' as const }, { location: `/runs/${id}`, written });
    },
  }),
];
