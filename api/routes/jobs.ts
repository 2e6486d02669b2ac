/** Jobs: what is backed up, and the word to do it now. */
import * as z from 'zod';
import { createJob } from '../../commands/create-job.ts';
import { deleteJob } from '../../commands/delete-job.ts';
import { renameJob } from '../../commands/rename-job.ts';
import { runJob } from '../../commands/run-job.ts';
import { Problem } from '../../domain/errors.ts';
import { getJob, listJobs, jobs as model } from '../../projections/jobs.ts';
import { findJob } from '../current-state.ts';
import { accepted, created, listRoute, noContent, ok, type RouteModule, route } from '../route.ts';
import { found, idField, idParams, name } from '../shapes.ts';

const job = z
  .object({
    id: z.string(),
    name: z.string(),
    sourceId: z.string(),
    schedule: z.null(),
    retention: z.null(),
    status: z.string().meta({ description: '`active`.' }),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'Job' });

const schedule = z.strictObject({ cron: z.string(), timeZone: z.string() }).nullable().optional();
const count = z.int().min(1).optional();
const retention = z
  .strictObject({
    keepLast: count,
    hourly: count,
    daily: count,
    weekly: count,
    monthly: count,
    yearly: count,
    keepWithin: z.string().optional(),
  })
  .nullable()
  .optional();

const params = idParams('job');
const missing = (id: string) => `There is no job ${id}. GET /jobs lists yours.`;

export const jobs: RouteModule = [
  listRoute({
    url: '/jobs',
    summary: 'List jobs',
    tags: ['jobs'],
    reads: [model.name],
    item: job,
    leadsTo: {
      200: [
        'GET /jobs/{id}',
        'POST /jobs/{id}/run',
        { to: 'GET /sources/{id}', parameters: { id: '$response.body#/items/0/sourceId' } },
      ],
    },
    handler: ({ platform, principal, page }) => listJobs(platform, principal.account, page),
  }),
  route({
    method: 'POST',
    url: '/jobs',
    summary: 'Create a job',
    tags: ['jobs'],
    body: z.strictObject({ name, sourceId: idField('source'), schedule, retention }),
    answers: { 201: job },
    problems: ['not-found', 'not-available'],
    leadsTo: {
      201: [
        'GET /jobs/{id}',
        'PUT /jobs/{id}',
        'DELETE /jobs/{id}',
        'POST /jobs/{id}/run',
        { to: 'GET /runs', parameters: { jobId: '$response.body#/id' } },
      ],
    },
    handler: async ({ platform, command, body }) => {
      refuseWhatNothingActsOn(body);
      const { id, written, at } = await createJob(platform, command, body);
      const view = activeJob({ id, name: body.name, sourceId: body.sourceId, createdAt: at });
      return created(`/jobs/${id}`, view, { written, version: written.version });
    },
  }),
  route({
    method: 'GET',
    url: '/jobs/{id}',
    summary: 'Look at a job',
    tags: ['jobs'],
    reads: [model.name],
    params,
    answers: { 200: job },
    problems: ['not-found'],
    handler: async ({ platform, principal, params: { id } }) => {
      const view = found(await getJob(platform, principal.account, id), missing(id));
      return ok(view, { version: view.version });
    },
  }),
  route({
    method: 'PUT',
    url: '/jobs/{id}',
    summary: 'Change a job',
    description: 'The source stays: create another job for another source.',
    tags: ['jobs'],
    params,
    body: z.strictObject({ name, sourceId: idField('source').optional(), schedule, retention }),
    answers: { 200: job },
    problems: ['not-found', 'not-available', 'precondition-failed'],
    handler: async ({ platform, command, params: { id }, body, ifMatch }) => {
      refuseWhatNothingActsOn(body);
      const before = await findJob(platform, command.account, id);
      if (body.sourceId !== undefined && body.sourceId !== before.sourceId) {
        const message = 'A job keeps its source. Create another job for another source.';
        throw new Problem('invalid-input', message, { errors: [{ path: 'sourceId', message }] });
      }
      const { written } = await renameJob(platform, { ...command, ifVersion: ifMatch }, id, body.name);
      return ok(activeJob({ id, name: body.name, ...before }), { written, version: written.version });
    },
  }),
  route({
    method: 'DELETE',
    url: '/jobs/{id}',
    summary: 'Delete a job',
    description: 'It runs no more. Its backups stay, under their source.',
    tags: ['jobs'],
    params,
    answers: { 204: z.undefined() },
    problems: ['not-found', 'precondition-failed'],
    handler: async ({ platform, command, params: { id }, ifMatch }) => {
      const { written } = await deleteJob(platform, { ...command, ifVersion: ifMatch }, id);
      return noContent({ written });
    },
  }),
  route({
    method: 'POST',
    url: '/jobs/{id}/run',
    summary: 'Run a job now',
    tags: ['jobs'],
    params,
    answers: {
      202: z.object({ id: z.string(), jobId: z.string(), status: z.literal('requested') }).meta({ id: 'RequestedRun' }),
    },
    problems: ['not-found', 'run-open', 'source-unusable'],
    leadsTo: { 202: ['GET /runs/{id}', 'GET /runs/{id}/errors', 'POST /runs/{id}/cancel'] },
    handler: async ({ platform, command, params: { id } }) => {
      const run = await runJob(platform, command, id);
      const body = { id: run.id, jobId: id, status: 'requested' as const };
      return accepted(body, { location: `/runs/${run.id}`, written: run.written });
    },
  }),
];

/** Better said than silently not done. */
function refuseWhatNothingActsOn(body: { schedule?: unknown; retention?: unknown }): void {
  for (const field of ['schedule', 'retention'] as const) {
    if (body[field] == null) continue;
    const message = `Leave out ${field}: this version does not act on it yet.`;
    throw new Problem('not-available', message, { errors: [{ path: field, message }] });
  }
}

/** A job that was just written, as its read model will have it. */
function activeJob({
  id,
  name,
  sourceId,
  createdAt,
}: Pick<z.infer<typeof job>, 'id' | 'name' | 'sourceId' | 'createdAt'>): z.infer<typeof job> {
  return { id, name, sourceId, schedule: null, retention: null, status: 'active', createdAt };
}
