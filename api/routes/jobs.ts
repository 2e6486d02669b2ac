/** Jobs: create, read, change, delete and run them. */
import * as z from 'zod';
import { createJob } from '../../commands/create-job.ts';
import { deleteJob } from '../../commands/delete-job.ts';
import { renameJob } from '../../commands/rename-job.ts';
import { runJob } from '../../commands/run-job.ts';
import { Problem } from '../../domain/errors.ts';
import { getJob, listJobs, jobs as model } from '../../projections/jobs.ts';
import { getRun } from '../../projections/runs.ts';
import { findJob } from '../current-state.ts';
import { accepted, created, listRoute, noContent, ok, type RouteModule, route } from '../route.ts';
import { exampleId, found, idField, idOf, idParams, name, requestedRun, timeOf } from '../shapes.ts';

const job = z
  .object({
    id: idOf('job'),
    name: z.string().meta({ description: 'The name of the job.', examples: ['Documents'] }),
    sourceId: idOf('source'),
    schedule: z.null().meta({ description: 'Always null: this version runs jobs only on request.' }),
    retention: z.null().meta({ description: 'Always null: this version keeps all restore points.' }),
    status: z.string().meta({ description: 'Always `active`.', examples: ['active'] }),
    createdAt: timeOf('When the job was created.'),
  })
  .meta({ id: 'Job', description: 'A job backs up one source.' });

const schedule = z
  .strictObject({
    cron: z.string().meta({ description: 'Five cron fields.' }),
    timeZone: z.string().meta({ description: 'An IANA time zone.' }),
  })
  .nullable()
  .optional()
  .meta({ description: 'Not supported yet. Omit it, or send null.' });
const count = (description: string) => z.int().min(1).optional().meta({ description });
const retention = z
  .strictObject({
    keepLast: count('Keep this many of the newest restore points.'),
    hourly: count('Keep one restore point of each of this many hours.'),
    daily: count('Keep one restore point of each of this many days.'),
    weekly: count('Keep one restore point of each of this many weeks.'),
    monthly: count('Keep one restore point of each of this many months.'),
    yearly: count('Keep one restore point of each of this many years.'),
    keepWithin: z.string().optional().meta({ description: 'Keep all restore points within this ISO 8601 duration.' }),
  })
  .nullable()
  .optional()
  .meta({ description: 'Not supported yet. Omit it, or send null.' });

const params = idParams('job');
const missing = (id: string) => `Job ${id} does not exist. List jobs with GET /jobs.`;

export const jobs: RouteModule = [
  listRoute({
    url: '/jobs',
    summary: 'List jobs',
    description: 'Lists the jobs of the account.',
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
    description: 'Creates a job that backs up a source. POST /jobs/{id}/run runs it.',
    tags: ['jobs'],
    body: z
      .strictObject({ name, sourceId: idField('source'), schedule, retention })
      .meta({ examples: [{ name: 'Documents', sourceId: exampleId('source') }] }),
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
      rejectUnsupported(body);
      const { id, written, at } = await createJob(platform, command, body);
      const view = activeJob({ id, name: body.name, sourceId: body.sourceId, createdAt: at });
      return created(`/jobs/${id}`, view, { written, version: written.version });
    },
  }),
  route({
    method: 'GET',
    url: '/jobs/{id}',
    summary: 'Get a job',
    description: 'Returns one job.',
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
    description: 'Replaces the settings of a job. Its source cannot change: create another job for another source.',
    tags: ['jobs'],
    params,
    body: z
      .strictObject({
        name,
        sourceId: idField('source')
          .optional()
          .meta({ description: 'The source of the job, unchanged. May be omitted.' }),
        schedule,
        retention,
      })
      .meta({ examples: [{ name: 'Documents and letters' }] }),
    answers: { 200: job },
    problems: ['not-found', 'not-available', 'precondition-failed'],
    handler: async ({ platform, command, params: { id }, body, ifMatch }) => {
      rejectUnsupported(body);
      const before = await findJob(platform, command.account, id);
      if (body.sourceId !== undefined && body.sourceId !== before.sourceId) {
        const message = 'The source of a job cannot change. Create another job for another source.';
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
    description: 'Deletes the job. Its restore points stay.',
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
    summary: 'Run a job',
    description: 'Requests a run, which starts in the background. GET /runs/{id} shows its progress.',
    tags: ['jobs'],
    params,
    answers: {
      202: requestedRun,
    },
    problems: ['not-found', 'run-open', 'source-unusable'],
    leadsTo: { 202: ['GET /runs/{id}', 'GET /runs/{id}/errors', 'POST /runs/{id}/cancel'] },
    handler: async ({ platform, command, params: { id } }) => {
      const isKnown = async (runId: string) => (await getRun(platform, command.account, runId)) !== undefined;
      const run = await runJob(platform, command, id, isKnown);
      const body = { id: run.id, jobId: id, status: 'requested' as const };
      return accepted(body, { location: `/runs/${run.id}`, written: run.written });
    },
  }),
];

/** Rejects settings that this version would ignore. */
function rejectUnsupported(body: { schedule?: unknown; retention?: unknown }): void {
  for (const field of ['schedule', 'retention'] as const) {
    if (body[field] == null) continue;
    const message = `This version does not support ${field}. Omit it, or send null.`;
    throw new Problem('not-available', message, { errors: [{ path: field, message }] });
  }
}

/** Returns the view of a job that was just written. The read model may not have it yet. */
function activeJob({
  id,
  name,
  sourceId,
  createdAt,
}: Pick<z.infer<typeof job>, 'id' | 'name' | 'sourceId' | 'createdAt'>): z.infer<typeof job> {
  return { id, name, sourceId, schedule: null, retention: null, status: 'active', createdAt };
}
