/** What was written a moment ago is there for whoever changes it, though no read model has it yet. */
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

/** Read models are as good as away until `catchUp`; `waiting` is called whenever a request waits for one. */
async function box() {
  const asleep = { waiting: async () => {} };
  const sleep = async (milliseconds: number) => {
    platform.clock.now += milliseconds;
    await asleep.waiting();
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
  return { asleep, platform, send, call, catchUp, source, job };
}

test('a source and a job can be changed at once, and are what they are read as later', async () => {
  const { send, call, catchUp, source, job } = await box();
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

test('a run can be called off by whoever brings the token of its request, and a refusal for want of that is not the last word', async () => {
  const { asleep, send, catchUp, job } = await box();
  const run = await send('POST', `/jobs/${job.json().id}/run`);
  const cancel = (headers = {}) =>
    send('POST', `/runs/${run.json().id}/cancel`, undefined, { 'idempotency-key': 'k', ...headers });
  expect((await cancel()).statusCode).toBe(404);
  asleep.waiting = catchUp;
  expect((await cancel({ 'consistency-token': run.headers['consistency-token'] })).statusCode).toBe(202);
});
