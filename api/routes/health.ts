/** The health check. */
import * as z from 'zod';
import { ok, type RouteModule, route } from '../route.ts';

export const health: RouteModule = [
  route({
    method: 'GET',
    url: '/health',
    summary: 'Check the service',
    description: 'Answers 200 when the service is ready. Unknown query parameters are allowed.',
    tags: ['service'],
    public: true,
    // Monitoring tools add parameters of their own.
    query: z.object({}),
    answers: {
      200: z.object({
        status: z.literal('ok').meta({ description: 'Always `ok`.' }),
        version: z.string().meta({ description: 'The version of ListBackup.' }),
      }),
    },
    handler: async ({ context }) => ok({ status: 'ok' as const, version: context.version }),
  }),
];
