/** The audit feed: everything that happened in the account, in the ledger's order. */
import * as z from 'zod';
import { type ActivityCursor, readActivity } from '../../activity/feed.ts';
import { listRoute, type RouteModule } from '../route.ts';
import { jsonObject, time, utc } from '../shapes.ts';

const item = z
  .object({
    seq: z.int().meta({ description: "The ledger's number of the commit: gapless, from 1." }),
    index: z.int().meta({ description: "The event's place in its commit." }),
    id: z.string(),
    type: z.string().meta({ examples: ['run.requested.v1'] }),
    at: z.iso.datetime(),
    actor: z.object({ type: z.enum(['user', 'api-key', 'system']), id: z.string() }),
    stream: z.string(),
    version: z.int(),
    data: jsonObject,
    hash: z.string().meta({ description: 'Of the commit, chained to the one before in its stream.' }),
  })
  .meta({ id: 'Activity' });

export const activity: RouteModule = [
  listRoute({
    url: '/activity',
    summary: 'What happened, by whom, in order',
    tags: ['activity'],
    item,
    filters: {
      from: time.optional().meta({ description: 'Inclusive.' }),
      to: time.optional().meta({ description: 'Exclusive.' }),
      actor: z.string().min(1).max(100).optional().meta({ description: 'The id of an actor.' }),
      type: z.string().min(1).max(100).optional().meta({ description: 'With or without its version.' }),
      order: z.enum(['asc', 'desc']).default('asc'),
    },
    handler: async ({ platform, principal, query, page }) => {
      const { from, to, actor, type, order } = query;
      const filter = {
        order,
        ...(from && { from: utc(from) }),
        ...(to && { to: utc(to) }),
        ...(actor && { actor }),
        ...(type && { type }),
      };
      const cursor: ActivityCursor | undefined = page.cursor === undefined ? undefined : JSON.parse(page.cursor);
      const { items, next } = await readActivity(platform, principal.account, filter, {
        limit: page.limit,
        ...(cursor && { cursor }),
      });
      return { items, next: next && JSON.stringify(next) };
    },
  }),
];
