/** Retries of runs by the API, and the filters of their list. The test ends runs as workers would. */
import { expect, test } from 'vitest';
import { transact } from '../../../activity/store.ts';
import { jobs } from '../../../api/routes/jobs.ts';
import { runs } from '../../../api/routes/runs.ts';
import { sources } from '../../../api/routes/sources.ts';
import { systemContext } from '../../../commands/context.ts';
import { backupChain, backupChainId, createRestorePoint, endRun, nothing } from '../../../domain/backup-chain.ts';
import { streamName } from '../../../domain/event.ts';
import { noProgress } from '../../../domain/run.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { projections } from '../../../projections/index.ts';
import { ada, as, bob, testApi } from '../../support/api.ts';

const account = ada.accountId;
const { startedAt: _, isPlanned: __, bytesTotal: ___, requests, usd, ...counts } = noProgress('');
const result = { startedAt: null, counts, cost: { requests, usd } };

async function apiWithJob() {
  const { app, platform } = await testApi({ routes: [sources, jobs, runs], followers: projections });
  const [mine, other] = [await as({ app, platform }), await as({ app, platform }, bob)];
  const project = async () =>
    handleNotifications(platform, projections, (await platform.events.streams({ limit: 100 })).items);
  const post = async (url: string, payload?: object, who = mine, headers = {}) => {
    platform.clock.now += 1000;
    const answer = await who({ method: 'POST', url, headers, ...(payload && { payload }) });
    await project();
    return { status: answer.statusCode, body: answer.json(), location: answer.headers.location };
  };
  const source = await post('/sources', {
    ...{ type: 's3', name: 'Bucket', config: { bucket: 'some-bucket' } },
    credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
  });
  const job = await post('/jobs', { name: 'Nightly', sourceId: source.body.id });
  const jobId: string = job.body.id;
  async function end(runId: string, outcome: 'succeeded' | 'partial' | 'failed' | 'cancelled') {
    const ids = { runId, jobId, sourceId: source.body.id };
    const at = new Date(platform.now()).toISOString();
    const manifest = { id: 'none', hash: '' };
    const decide =
      outcome === 'failed' || outcome === 'cancelled'
        ? endRun(ids, { outcome, reason: null, ...result })
        : createRestorePoint(ids, {
            ...{ outcome, manifest, totals: nothing, since: null, at, errors: [], errorPages: 0 },
            ...result,
          });
    const name = streamName(account, 'backup-chain', backupChainId(jobId, source.body.id));
    await transact(platform, backupChain, name, decide, systemContext(account, 'test', runId, runId));
    await project();
  }
  const run = async (outcome?: Parameters<typeof end>[1]): Promise<string> => {
    const { body } = await post(`/jobs/${jobId}/run`);
    if (outcome) await end(body.id, outcome);
    return body.id;
  };
  const get = async (url: string) => (await mine({ url })).json();
  return { post, get, run, end, jobId, other };
}

test.each(['partial', 'failed'] as const)('retries a %s run, once for each request', async (outcome) => {
  const { post, get, run, jobId } = await apiWithJob();
  const first = await run(outcome);
  expect(await get(`/runs/${first}`)).toMatchObject({ kind: 'backup', trigger: 'manual', result: null });
  const retry = () => post(`/runs/${first}/retry`, undefined, undefined, { 'idempotency-key': 'k' });
  const { status, body, location } = await retry();
  expect(status).toBe(202);
  expect(body).toEqual({ id: expect.not.stringMatching(first), jobId, status: 'requested' });
  expect(location).toBe(`/runs/${body.id}`);
  expect((await retry()).body).toEqual(body);
  expect(await get(location as string)).toMatchObject({ trigger: 'retry', status: 'requested', jobId });
  // The job has an open run now.
  expect(await post(`/runs/${first}/retry`)).toMatchObject({
    ...{ status: 409, body: { code: 'run-open', runId: body.id } },
  });
});

test.each(['succeeded', 'cancelled'] as const)('refuses the retry of a %s run', async (outcome) => {
  const { post, run } = await apiWithJob();
  const first = await run(outcome);
  expect(await post(`/runs/${first}/retry`)).toMatchObject({ status: 409, body: { code: 'nothing-to-retry' } });
});

test('refuses the retry of an open run, and hides a run from another account', async () => {
  const { post, run, other } = await apiWithJob();
  const open = await run();
  expect(await post(`/runs/${open}/retry`)).toMatchObject({ status: 409, body: { code: 'run-open', runId: open } });
  expect(await post(`/runs/${open}/retry`, undefined, other)).toMatchObject({ status: 404 });
});

test('lists runs by kind and status, in pages that may be short but lose none', async () => {
  const { get, run, jobId } = await apiWithJob();
  const failed: string[] = [];
  for (let i = 0; i < 3; i++) {
    failed.unshift(await run('failed'));
    for (let j = 0; j < 6; j++) await run('succeeded');
  }
  const open = await run();
  const ids = async (query: string) => {
    const found: string[] = [];
    for (let next: string | null = '', pages = 0; next !== null; pages++) {
      expect(pages).toBeLessThan(30);
      const page = await get(`/runs?${query}&limit=2${next && `&cursor=${next}`}`);
      expect(page.items.length).toBeLessThanOrEqual(2);
      found.push(...page.items.map(({ id }: { id: string }) => id));
      next = page.next;
    }
    return found;
  };
  expect(await ids('status=failed')).toEqual(failed);
  expect(await ids(`status=failed&jobId=${jobId}&kind=backup`)).toEqual(failed);
  expect(await ids('status=requested')).toEqual([open]);
  expect(await ids('status=partial')).toEqual([]);
  expect(await ids('kind=backup')).toHaveLength(22);
  expect(await ids('kind=verify')).toEqual([]);
  expect(await get('/runs?status=done')).toMatchObject({ status: 400, errors: [{ path: 'status' }] });
});
