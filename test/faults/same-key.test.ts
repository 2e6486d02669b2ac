/** `Idempotency-Key` with a thousand concurrent requests, and with processes killed during a request. */
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { client } from '../acceptance/client.ts';
import { expectClean } from '../support/check.ts';
import { auditLedgerIn } from '../support/ledger.ts';
import { clientOf, killServers, startKillableServer } from './killable-server.ts';
import { startRestarts } from './restarts.ts';
import { sameKey } from './same-key.ts';
import { type Beginning, folderFor, prepare } from './soak-scenario.ts';

let beginning: Beginning;
beforeAll(async () => {
  beginning = await prepare(await mkdtemp(join(tmpdir(), 'listbackup-same-key-')));
});
afterAll(async () => {
  killServers();
  await rm(beginning.root, { recursive: true, force: true });
});

async function copyOf(name: string): Promise<string> {
  const data = join(await folderFor(beginning, name), 'data');
  await cp(beginning.data, data, { recursive: true });
  return data;
}

/** The events of an account's ledger by type. Expects that the doctor finds nothing. */
async function eventsIn(data: string): Promise<{ [type: string]: number }> {
  await expectClean(data, { quiet: false });
  return auditLedgerIn(data);
}

it('creates one job from a thousand concurrent requests', async () => {
  const data = await copyOf('thousand');
  const server = await startKillableServer(data);
  if (!server) throw new Error('The server did not start.');
  const api = clientOf(server, beginning.owner);
  const { id, name } = await sameKey(
    (path, body, key) => api.call('POST', path, { body, headers: { 'idempotency-key': key } }),
    beginning.owner.sourceId,
    1000,
  );
  expect((await api.all('/jobs')).map((job) => job.name).sort()).toEqual(['Fails', name, 'Nightly'].sort());
  await api.expect(200, 'GET', `/jobs/${id}`);
  await server.stop();
  expect((await eventsIn(data)).JobCreated).toBe(3);
});

describe('a request whose process is killed', () => {
  const { jobId, sourceId } = { jobId: () => beginning.owner.jobId, sourceId: () => beginning.owner.sourceId };
  const requests = [
    {
      path: () => '/jobs',
      body: () => ({ name: 'Once', sourceId: sourceId() }),
      at: ['record:idempotency@1', 'append:job@1', 'record:idempotency@2', 'record:idempotency@3', 'apply:jobs@1'],
      once: { JobCreated: 3 },
    },
    {
      path: () => `/jobs/${jobId()}/run`,
      body: () => undefined,
      at: ['record:idempotency@1', 'append:backup-chain@1', 'record:idempotency@2', 'record:idempotency@3'],
      once: { RunRequested: 1 },
    },
    {
      path: () => '/auth/register',
      body: () => ({ email: 'eve@example.com', password: 'another battery staple', name: 'Eve' }),
      at: ['record:idempotency@1', 'append:user@1', 'append:account@1', 'record:idempotency@2', 'record:idempotency@3'],
      once: { UserRegistered: 1 },
    },
  ];
  const cases = requests.flatMap((request) => request.at.map((fault) => ({ ...request, fault })));

  it.concurrent.each(cases)(
    'at $fault is answered when repeated, and takes effect once ($once)',
    async ({ path, body, fault, once }) => {
      const data = await copyOf(`${Object.keys(once)[0]} ${fault}`);
      const restarts = startRestarts(data, beginning.owner.token, [{ fault }], beginning.clockStart);
      const asked = () => restarts.steadily((api) => repeated(api, path(), body()));
      const answers = await Promise.all(Array.from({ length: 20 }, asked));
      for (const answer of answers) expect(answer).toEqual(answers[0]);
      expect(await asked()).toEqual(answers[0]);
      await restarts.end('stop');
      expect(restarts.begun()).toBe(2);
      expect(await eventsIn(data)).toMatchObject(once);
    },
  );

  /** Repeats the request until no other request with its key is in progress. */
  async function repeated(
    api: ReturnType<typeof client>,
    path: string,
    body: unknown,
  ): Promise<{ status: number; body: unknown }> {
    for (;;) {
      const { status, body: answer } = await api.call('POST', path, { body, headers: { 'idempotency-key': 'once' } });
      if (answer.code !== 'idempotency-in-progress') return { status, body: answer };
    }
  }
});
