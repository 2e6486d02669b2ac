/** Whether the service answers. */
import * as z from 'zod';
import { ok, type RouteModule, route } from '../route.ts';

export const health: RouteModule = [
  route({
    method: 'GET',
    url: '/health',
    summary: 'Whether the service is ready',
    tags: ['service'],
    public: true,
    // probes add what they like
    query: z.object({}),
    answers: { 200: z.object({ status: z.literal('ok'), version: z.string() }) },
    handler: async ({ context }) => ok({ status: 'ok' as const, version: context.version }),
  }),
];
