/** The audit feed: all events of the account in ledger order. */
import * as z from 'zod';
import { type ActivityCursor, readActivity } from '../../activity/feed.ts';
import { listRoute, type RouteModule } from '../route.ts';
import { jsonObject, time, timeOf, utc } from '../shapes.ts';

const item = z
  .object({
    seq: z.int().meta({ description: "The commit's number in the ledger of the account, without gaps from 1." }),
    index: z.int().meta({ description: "The event's index in its commit, from 0." }),
    id: z.string().meta({ description: 'The id of the event.' }),
    type: z.string().meta({ description: 'The type of the event with its version.', examples: ['run.requested.v1'] }),
    at: timeOf('When the event happened.'),
    actor: z
      .object({
        type: z.enum(['user', 'api-key', 'system']).meta({ description: 'The kind of actor.' }),
        id: z.string().meta({ description: 'The id of the user or API key, or the name of the system part.' }),
      })
      .meta({ description: 'The actor that caused the event.' }),
    stream: z.string().meta({ description: 'The stream of the event: `{account}/{type}/{id}`.' }),
    version: z.int().meta({ description: "The commit's number in its stream, from 1." }),
    data: jsonObject.meta({ description: 'The content of the event. It depends on `type`.' }),
    hash: z.string().meta({ description: 'The hash of the commit, chained to the previous commit of its stream.' }),
  })
  .meta({ id: 'Activity', description: 'One event of the account.' });

export const activity: RouteModule = [
  listRoute({
    url: '/activity',
    summary: 'List events',
    description: 'Lists the events of the account in ledger order. Use it as an audit log.',
    tags: ['activity'],
    item,
    filters: {
      from: time.optional().meta({ description: 'Only events at or after this time.' }),
      to: time.optional().meta({ description: 'Only events before this time.' }),
      actor: z.string().min(1).max(100).optional().meta({ description: 'Only events of the actor with this id.' }),
      type: z
        .string()
        .min(1)
        .max(100)
        .optional()
        .meta({ description: 'Only events of this type. The version may be omitted: `run.requested`.' }),
      order: z.enum(['asc', 'desc']).default('asc').meta({ description: '`asc`: oldest first. `desc`: newest first.' }),
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
