/** Runs: what became of a job, while it happens and after. */
import * as z from 'zod';
import { getRun, listRuns, runs as model } from '../../projections/runs.ts';
import { listRoute, ok, type RouteModule, route } from '../route.ts';
import { found, idField, idParams } from '../shapes.ts';

const count = z.int().min(0);

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
      .array(z.object({ path: z.string(), code: z.string(), message: z.string() }))
      .meta({ description: 'The first 100 files that failed or were skipped; an empty path is about the whole run.' }),
    cost: z.object({ requests: count, usd: z.number().min(0) }),
  })
  .meta({ id: 'Run' });

export const runs: RouteModule = [
  listRoute({
    url: '/runs',
    summary: 'List runs, newest first',
    tags: ['runs'],
    reads: [model.name],
    item: run,
    filters: { jobId: idField('job').optional() },
    handler: ({ machine, principal, page, query }) => listRuns(machine, principal.account, { ...page, jobId: query.jobId }),
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
    handler: async ({ machine, principal, params: { id } }) =>
      ok(found(await getRun(machine, principal.account, id), `There is no run ${id}. GET /runs lists yours.`)),
  }),
];
