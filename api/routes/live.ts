/** The way to the live socket. What goes over it: api/live/messages.ts. */
import * as z from 'zod';
import { issueTicket } from '../live/tickets.ts';
import { type RouteModule, route } from '../route.ts';

const description = `A WebSocket at that address tells what happens in the account. The address is good for one socket, within 60 s.

Messages are JSON, \`{seq, type, at, data}\`:
- \`activity\`: one an event, \`data\` as an item of \`GET /activity\`; \`seq\` is the ledger's number.
- \`run.progress\`, \`run.finished\`: \`data\` is the run, as \`GET /runs/{id}\` gave it at that moment. They follow the event's \`activity\`, with a \`seq\`
  between its and the next. Counts never go back; \`run.finished\` comes once, last of its run, with the final ones.

\`seq\` grows with every message and need not be a whole number. A socket begins with what happens from now on; with \`&since=\` and the \`seq\` of the last message you got, it goes on
behind that one, nothing missing and nothing twice (0: from the beginning). Sockets end: after 2 hours, after 10 minutes without a
message, when the session ends, when you read too slowly. Ask for a new address and go on. What you send is ignored.
A message has at most 128 KB: what is larger goes without the last of a run's \`errors\`, or with \`data.data\` null.`;

export const live: RouteModule = [
  route({
    method: 'POST',
    url: '/live/ticket',
    summary: 'Open a live socket',
    description,
    tags: ['live'],
    credentials: true,
    answers: {
      201: z.object({ url: z.url(), expiresAt: z.iso.datetime() }).meta({ id: 'LiveTicket' }),
    },
    handler: async ({ platform, principal, context, headers }) => {
      const { ticket, expiresAt } = await issueTicket(platform, principal);
      return { status: 201 as const, body: { url: `${context.live(headers)}?ticket=${ticket}`, expiresAt } };
    },
  }),
];
