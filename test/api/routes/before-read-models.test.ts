/** Commands see earlier writes at once, although no read model has applied them. */
import { expect, test } from 'vitest';
import { jobs } from '../../../api/routes/jobs.ts';
import { runs } from '../../../api/routes/runs.ts';
import { sources } from '../../../api/routes/sources.ts';
import { makeId } from '../../../crypto/ids.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { projections } from '../../../projections/index.ts';
import { as, testApi } from '../../support/api.ts';

const s3 = {
  type: 's3',
  name: 'Bucket',
  config: { bucket: 'some-bucket' },
  credentials: { accessKeyId: 'key', secretAccessKey: 'secret' },
};

/** An API whose read models apply nothing until `catchUp`. `onWait` is called when a request waits for one. */
async function apiWithStaleReadModels() {
  const hooks = { onWait: async () => {} };
  const sleep = async (milliseconds: number) => {
    platform.clock.now += milliseconds;
    await hooks.onWait();
  };
  const { app, platform } = await testApi({ routes: [sources, jobs, runs], followers: projections, sleep });
  const call = await as({ app, platform });
  const send = (method: 'POST' | 'PUT', url: string, payload?: object, headers = {}) =>
    call({ method, url, headers, ...(payload && { payload }) });
  const catchUp = async () =>
    handleNotifications(platform, projections, (await platform.events.streams({ limit: 100 })).items);
  const source = await send('POST', '/sources', s3);
  const job = await send('POST', '/jobs', { name: 'First', sourceId: source.json().id });
  platform.clock.now += 1000;
  return { hooks, platform, send, call, catchUp, source, job };
}

test('changes a new source and job at once, with the same view as later reads', async () => {
  const { send, call, catchUp, source, job } = await apiWithStaleReadModels();
  const settings = { name: 'Second', config: { bucket: 'another-bucket' } };
  const none = new Uint8Array(16);
  const puts = [
    {
      url: `/sources/${source.json().id}`,
      other: `/sources/${makeId('source', none)}`,
      body: settings,
      etag: source.headers.etag,
    },
    {
      url: `/jobs/${job.json().id}`,
      other: `/jobs/${makeId('job', none)}`,
      body: { name: 'Second', sourceId: source.json().id },
      etag: job.headers.etag,
    },
  ];
  for (const { url, other, body, etag } of puts) {
    const changed = await send('PUT', url, body, { 'if-match': etag });
    expect(changed.statusCode).toBe(200);
    expect((await send('PUT', url, body, { 'if-match': etag })).statusCode).toBe(412);
    expect((await send('PUT', other, body)).statusCode).toBe(404);
    await catchUp();
    const read = await call({ url });
    expect([changed.json(), changed.headers.etag]).toEqual([read.json(), read.headers.etag]);
  }
  const wrong = await send('PUT', puts[0]?.url ?? '', { ...settings, type: 'folder' });
  expect(wrong.json()).toMatchObject({ status: 400, errors: [{ path: 'type' }] });
});

test('cancels a new run for a request with its Consistency-Token, after a 404 without it', async () => {
  const { hooks, send, catchUp, job } = await apiWithStaleReadModels();
  const run = await send('POST', `/jobs/${job.json().id}/run`);
  const cancel = (headers = {}) =>
    send('POST', `/runs/${run.json().id}/cancel`, undefined, { 'idempotency-key': 'k', ...headers });
  expect((await cancel()).statusCode).toBe(404);
  hooks.onWait = catchUp;
  expect((await cancel({ 'consistency-token': run.headers['consistency-token'] })).statusCode).toBe(202);
});
