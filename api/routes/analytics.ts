/** Precomputed numbers of an account. */
import * as z from 'zod';
import { getOverview, analyticsAggregates as model } from '../../projections/analytics-aggregates.ts';
import { ok, type RouteModule, route } from '../route.ts';
import { nullableTimeOf } from '../shapes.ts';

const count = (description: string) => z.int().meta({ description });

const overview = z
  .object({
    sources: count('Connected sources.'),
    jobs: count('Jobs.'),
    runs: z
      .object({
        total: count('All runs.'),
        succeeded: count('Runs that backed up everything.'),
        partial: count('Runs in which some files failed.'),
        failed: count('Runs that failed and made no restore point.'),
      })
      .meta({ description: 'The number of runs, by outcome.' }),
    files: count('Files in the newest restore points.'),
    bytesProtected: count('The size of these files, in bytes.'),
    bytesStored: count('Bytes that all runs wrote to storage.'),
    cost: z.number().meta({ description: 'The cost of all runs, in US dollars.' }),
    lastRunAt: nullableTimeOf('When the last run ended. Null before the first one.'),
  })
  .meta({ id: 'Overview', description: 'Numbers of the whole account.' });

export const analytics: RouteModule = [
  route({
    method: 'GET',
    url: '/analytics/overview',
    summary: 'Get an overview',
    description: 'Returns the number of sources, jobs, runs and files, and the stored bytes and cost.',
    tags: ['analytics'],
    reads: [model.name],
    answers: { 200: overview },
    handler: async ({ platform, principal }) => ok(await getOverview(platform, principal.account)),
  }),
];
