/** Issues tickets for the live socket. `api/live/messages.ts` makes its messages. */
import * as z from 'zod';
import { issueTicket } from '../live/tickets.ts';
import { type RouteModule, route } from '../route.ts';
import { timeOf } from '../shapes.ts';

const description = `Returns the URL of a WebSocket that reports the events of the account. The URL opens one socket
within 60 s.

Messages are JSON: \`{seq, type, at, data}\`.
- \`activity\`: an event. \`data\` is an item of \`GET /activity\`, and \`seq\` is the commit's number in the ledger.
- \`run.progress\`: a run that has not ended. \`data\` is the run, as \`GET /runs/{id}\` returns it now. One message may
  follow several events of the run. Counts never decrease.
- \`run.finished\`: a run that has ended. \`data\` is the run, as \`GET /runs/{id}\` returns it. It is the last message of
  the run and follows the \`activity\` message of its end.

\`seq\` increases with every message and may be a fraction. A new socket reports only new events. To resume, add \`&since=\`
and the \`seq\` of your last message: you get every later \`activity\` and \`run.finished\` message once. Progress of the past
may be left out. \`&since=0\` starts at the beginning.

The server closes a socket after 2 hours, after 10 minutes without a message, when the session ends, and when the client
reads too slowly. Then request a new URL and resume. The server ignores messages from the client.
A message has at most 128 KB. A larger one omits the last \`errors\` of a run, or has null as \`data.data\`.`;

export const live: RouteModule = [
  route({
    method: 'POST',
    url: '/live/ticket',
    summary: 'Open a live socket',
    description,
    tags: ['live'],
    credentials: true,
    answers: {
      201: z
        .object({
          url: z.url().meta({ description: 'The URL of the WebSocket. It holds a ticket, so keep it secret.' }),
          expiresAt: timeOf('When the ticket expires.'),
        })
        .meta({ id: 'LiveTicket', description: 'Opens one live socket.' }),
    },
    handler: async ({ platform, principal, context, headers }) => {
      const { ticket, expiresAt } = await issueTicket(platform, principal);
      return { status: 201 as const, body: { url: `${context.live(headers)}?ticket=${ticket}`, expiresAt } };
    },
  }),
];
