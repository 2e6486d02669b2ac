/** Numbers that are ready when asked for. */
import * as z from 'zod';
import { getOverview, analyticsAggregates as model } from '../../projections/analytics-aggregates.ts';
import { ok, type RouteModule, route } from '../route.ts';

const count = z.int();

const overview = z
  .object({
    sources: count,
    jobs: count,
    runs: z.object({ total: count, succeeded: count, partial: count, failed: count }),
    files: count.meta({ description: 'Files in the newest good backups.' }),
    bytesProtected: count.meta({ description: 'Bytes of those files.' }),
    bytesStored: count.meta({ description: 'Bytes put to blobs, ever.' }),
    cost: z.number().meta({ description: 'US dollars, of all runs.' }),
    lastRunAt: z.iso.datetime().nullable(),
  })
  .meta({ id: 'Overview' });

export const analytics: RouteModule = [
  route({
    method: 'GET',
    url: '/analytics/overview',
    summary: 'Everything at a glance',
    tags: ['analytics'],
    reads: [model.name],
    answers: { 200: overview },
    handler: async ({ platform, principal }) => ok(await getOverview(platform, principal.account)),
  }),
];
