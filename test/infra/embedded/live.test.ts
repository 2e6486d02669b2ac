/** The live socket of the self-hosted deployment: which commits cost anything. */
import { createServer, type IncomingMessage } from 'node:http';
import { expect, test, vi } from 'vitest';
import { issueTicket } from '../../../api/live/tickets.ts';
import { openSession } from '../../../api/sessions.ts';
import type { Push } from '../../../domain/ports.ts';
import { openLive } from '../../../infra/embedded/live.ts';
import type { Endpoint, Sockets } from '../../../infra/embedded/sockets.ts';
import { account, runSteps } from '../../api/live/given.ts';
import { ada, testPlatform } from '../../support/api.ts';

test('a commit of an account without sockets costs no read, also after its last socket closed', async () => {
  const platform = await testPlatform();
  const sent: string[] = [];
  const push: Push = {
    async send(_, text) {
      sent.push(text);
      return 'sent';
    },
    close: async () => {},
  };
  let endpoint: Endpoint | undefined;
  const sockets: Sockets = {
    ...push,
    listen(_, given) {
      endpoint = given;
    },
    stop: async () => {},
  };
  const live = openLive(createServer(), sockets, { ...platform, push }, ['localhost']);
  const ports = [platform.records, platform.events, platform.rows] as unknown as { [method: string]: () => unknown }[];
  const calls = ports.flatMap((port) => Object.keys(port).map((method) => vi.spyOn(port, method)));
  const countOf = () => calls.reduce((sum, { mock }) => sum + mock.calls.length, 0);
  const costOf = (accounts: string[]) => {
    const before = countOf();
    live.notify(accounts);
    return countOf() - before;
  };
  expect(costOf([account, 'acc_bob'])).toBe(0);

  await openSession(platform, { ...ada, sessionId: 'ses_ada' });
  const { ticket } = await issueTicket(platform, { account, user: ada.userId, session: 'ses_ada' });
  const headers = { host: 'localhost' };
  const request = { headers, rawHeaders: ['Host', headers.host], url: `/live?ticket=${ticket}` };
  await endpoint?.admit(request as IncomingMessage, 'con_1');
  endpoint?.opened('con_1');
  await runSteps(platform, 'run_1', 1).request();
  expect(costOf(['acc_bob'])).toBe(0);
  expect(costOf([account])).toBeGreaterThan(0);
  await vi.waitFor(() => expect(sent.length).toBeGreaterThan(0), { timeout: 60_000 });

  endpoint?.closed('con_1');
  expect(costOf([account])).toBe(0);
  await live.stop();
});
