import { expect, test } from 'vitest';
import { transact } from '../../../activity/store.ts';
import { runs } from '../../../api/routes/runs.ts';
import { systemContext } from '../../../commands/context.ts';
import type { Decide } from '../../../domain/aggregate.ts';
import {
  type BackupChainEvent,
  type BackupChainState,
  backupChain,
  backupChainId,
  endRun,
  requestRun,
} from '../../../domain/backup-chain.ts';
import { streamName } from '../../../domain/event.ts';
import { noProgress, progressKey } from '../../../domain/run.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { projections } from '../../../projections/index.ts';
import { ada, as, bob, testApi } from '../../support/api.ts';

const account = ada.accountId;
const runId = 'run_00000000000000000000000001';
const ids = { runId, jobId: 'job_1', sourceId: 'src_1' };
const stream = streamName(account, 'backup-chain', backupChainId('job_1', 'src_1'));

async function apiWithRun() {
  const { app, platform } = await testApi({ routes: [runs] });
  const [mine, other] = [await as({ app, platform }), await as({ app, platform }, bob)];
  const project = async () => {
    const last = await platform.events.last(stream);
    await handleNotifications(platform, projections, [{ stream, version: last?.version ?? 0 }]);
  };
  const cause = systemContext(account, 'test', runId, runId);
  const append = async (decide: Decide<BackupChainState, BackupChainEvent>) => {
    await transact(platform, backupChain, stream, decide, cause);
    await project();
  };
  await append(requestRun(ids, new Date(platform.now()).toISOString()));
  const post = async (verb: string, who = mine) => {
    const answer = await who({ method: 'POST', url: `/runs/${runId}/${verb}` });
    await project();
    return { status: answer.statusCode, body: answer.json(), location: answer.headers.location };
  };
  const get = async () => (await mine({ url: `/runs/${runId}` })).json();
  return { platform, append, post, get, other };
}

test('pauses a run and resumes it, also when asked twice', async () => {
  const { platform, post, get } = await apiWithRun();
  const { pk, sk } = progressKey(account, runId);
  const at = new Date(platform.now()).toISOString();
  await platform.records.write([{ op: 'put', pk, sk, data: { ...noProgress(at), filesTotal: 9, filesDone: 4 } }]);
  for (let times = 0; times < 2; times++) {
    const paused = { status: 202, body: { id: runId, status: 'paused' }, location: `/runs/${runId}` };
    expect(await post('pause')).toEqual(paused);
    expect(await get()).toMatchObject({ status: 'paused', startedAt: at, progress: { filesDone: 4 } });
  }
  for (let times = 0; times < 2; times++) {
    expect(await post('resume')).toMatchObject({ status: 202, body: { id: runId, status: 'running' } });
    expect(await get()).toMatchObject({ status: 'running' });
  }
  expect((await platform.events.last(stream))?.version).toBe(3);
});

test.each(['pause', 'resume', 'cancel'])('rejects the %s of a run that has failed', async (verb) => {
  const { append, post } = await apiWithRun();
  await post('pause');
  const { startedAt: _, isPlanned: __, bytesTotal: ___, requests, usd, ...counts } = noProgress('');
  const end = { outcome: 'failed', reason: null, startedAt: null, counts, cost: { requests, usd } } as const;
  await append(endRun(ids, end));
  expect(await post(verb)).toMatchObject({ status: 409, body: { code: 'run-over' } });
});

test.each(['pause', 'resume', 'cancel'])('hides a run from the %s of another account', async (verb) => {
  const { post, get, other } = await apiWithRun();
  expect(await post(verb, other)).toMatchObject({ status: 404, body: { code: 'not-found' } });
  expect(await get()).toMatchObject({ status: 'requested' });
});

test('cancels a paused run, also when asked twice', async () => {
  const { post, get } = await apiWithRun();
  await post('pause');
  for (let times = 0; times < 2; times++)
    expect(await post('cancel')).toMatchObject({ status: 202, body: { status: 'cancelling' } });
  expect(await get()).toMatchObject({ status: 'cancelled' });
});
