/** Plants secrets and personal data in every input, and searches all stored bytes and log lines for them. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { client, listFiles, runJob, until } from '../acceptance/client.ts';
import { expectClean } from '../support/check.ts';
import { testFolder } from '../support/embedded.ts';
import { npmStart } from '../support/npm-start.ts';
import { startS3Server } from '../support/s3-server.ts';
import { holds, planted } from './needles.ts';

it('planted secrets are in clear in no event, row, record, message, blob, key file or log line', async () => {
  const data = await testFolder();
  const s3 = await startS3Server();
  const deployment = await npmStart({
    LISTBACKUP_DATA: data,
    LISTBACKUP_LOG_LEVEL: 'trace',
    LISTBACKUP_ALLOW_HOSTS: s3.host,
  });
  let said = '';
  for (const stream of [deployment.process.stdout, deployment.process.stderr])
    stream?.on('data', (text) => (said += text));
  let stopped = false;
  onTestFinished(async () => {
    await s3.close();
    if (!stopped) await deployment.stop();
  });

  s3.credentials.secretAccessKey = planted.secret;
  s3.put(`${planted.prefix}/${planted.path}`, planted.content);
  s3.put(`${planted.prefix}/${planted.frozen}`, 'x', { storageClass: 'GLACIER' });
  const nobody = client(deployment.url);
  const headers = { 'idempotency-key': 'planted' };
  const { email, password } = planted;
  await nobody.expect(201, 'POST', '/auth/register', { body: { email, password, name: planted.person }, headers });
  const { accessToken, refreshToken } = await nobody.expect(200, 'POST', '/auth/login', {
    body: { email, password },
    headers,
  });
  const api = client(deployment.url, String(accessToken));
  const config = { bucket: s3.bucket, endpoint: s3.endpoint, prefix: `${planted.prefix}/` };
  const body = { type: 's3', name: planted.source, config, credentials: { ...s3.credentials } };
  const source = await api.expect(201, 'POST', '/sources', { body, headers });
  const job = await api.expect(201, 'POST', '/jobs', { body: { name: planted.job, sourceId: source.id }, headers });
  const run = await runJob(api, String(job.id));
  // The owner sees the personal data
  expect(run).toMatchObject({ status: 'partial', errors: [{ path: planted.frozen }] });
  expect((await listFiles(api, `sourceId=${source.id}&recursive=true`)).map(({ path }) => path)).toEqual([
    planted.path,
  ]);

  // Error answers contain no secret
  const refusals = await Promise.all([
    nobody.call('POST', '/auth/login', { body: { email, password: `${planted.password} not` } }),
    nobody.call('POST', '/auth/register', { body: { email, password, name: planted.person, extra: planted.secret } }),
    api.call('POST', '/sources', { body: { ...body, credentials: { ...s3.credentials, more: planted.secret } } }),
    api.call('PUT', `/sources/${source.id}`, {
      body: { name: planted.source, config, credentials: { accessKeyId: planted.secret } },
    }),
  ]);
  for (const { status, body } of refusals) {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(JSON.stringify(body)).not.toContain(planted.secret);
    expect(JSON.stringify(body)).not.toContain(planted.password);
  }
  s3.misbehave = () => ({ answer: { status: 403, code: 'AccessDenied' } });
  expect(await runJob(api, String(job.id))).toMatchObject({ status: 'failed' });
  await until('it is logged', async () => (said.includes('run failed') ? true : undefined));
  stopped = true;
  await deployment.stop();
  await expectClean(data);

  const needles = Object.values({ ...planted, accessToken: String(accessToken), refreshToken: String(refreshToken) });
  for (const file of filesBelow(data)) {
    const bytes = readFileSync(file);
    for (const needle of needles) expect(holds(bytes, needle), `${needle} in ${file}`).toBe(false);
  }
  for (const needle of needles) expect(said, 'the log').not.toContain(needle);
  expect(said).toContain('run failed');
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}
