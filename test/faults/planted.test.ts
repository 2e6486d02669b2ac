/** Plants secrets and personal data in every input, and searches all stored bytes and log lines for them. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { client, listFiles, runJob, until } from '../acceptance/client.ts';
import { expectClean } from '../support/check.ts';
import { testFolder } from '../support/embedded.ts';
import { npmStart } from '../support/npm-start.ts';
import { startS3Server } from '../support/s3-server.ts';
import { containsText, plantedData } from './planted-data.ts';

it('plantedData secrets are in clear in no event, row, record, message, blob, key file or log line', async () => {
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

  s3.credentials.secretAccessKey = plantedData.secret;
  s3.put(`${plantedData.prefix}/${plantedData.path}`, plantedData.content);
  s3.put(`${plantedData.prefix}/${plantedData.frozen}`, 'x', { storageClass: 'GLACIER' });
  const nobody = client(deployment.url);
  const headers = { 'idempotency-key': 'plantedData' };
  const { email, password } = plantedData;
  await nobody.expect(201, 'POST', '/auth/register', { body: { email, password, name: plantedData.person }, headers });
  const { accessToken, refreshToken } = await nobody.expect(200, 'POST', '/auth/login', {
    body: { email, password },
    headers,
  });
  const api = client(deployment.url, String(accessToken));
  const config = { bucket: s3.bucket, endpoint: s3.endpoint, prefix: `${plantedData.prefix}/` };
  const body = { type: 's3', name: plantedData.source, config, credentials: { ...s3.credentials } };
  const source = await api.expect(201, 'POST', '/sources', { body, headers });
  const job = await api.expect(201, 'POST', '/jobs', { body: { name: plantedData.job, sourceId: source.id }, headers });
  const run = await runJob(api, String(job.id));
  // The owner sees the personal data
  expect(run).toMatchObject({ status: 'partial', errors: [{ path: plantedData.frozen }] });
  expect((await listFiles(api, `sourceId=${source.id}&recursive=true`)).map(({ path }) => path)).toEqual([
    plantedData.path,
  ]);

  // Error answers contain no secret
  const refusals = await Promise.all([
    nobody.call('POST', '/auth/login', { body: { email, password: `${plantedData.password} not` } }),
    nobody.call('POST', '/auth/register', {
      body: { email, password, name: plantedData.person, extra: plantedData.secret },
    }),
    api.call('POST', '/sources', { body: { ...body, credentials: { ...s3.credentials, more: plantedData.secret } } }),
    api.call('PUT', `/sources/${source.id}`, {
      body: { name: plantedData.source, config, credentials: { accessKeyId: plantedData.secret } },
    }),
  ]);
  for (const { status, body } of refusals) {
    expect(status).toBeGreaterThanOrEqual(400);
    expect(JSON.stringify(body)).not.toContain(plantedData.secret);
    expect(JSON.stringify(body)).not.toContain(plantedData.password);
  }
  s3.misbehave = () => ({ answer: { status: 403, code: 'AccessDenied' } });
  expect(await runJob(api, String(job.id))).toMatchObject({ status: 'failed' });
  await until('it is logged', async () => (said.includes('a task failed') ? true : undefined));
  stopped = true;
  await deployment.stop();
  await expectClean(data);

  const texts = Object.values({ ...plantedData, accessToken: String(accessToken), refreshToken: String(refreshToken) });
  for (const file of filesBelow(data)) {
    const bytes = readFileSync(file);
    for (const text of texts) expect(containsText(bytes, text), `${text} in ${file}`).toBe(false);
  }
  for (const text of texts) expect(said, 'the log').not.toContain(text);
  expect(said).toContain('a task failed');
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((path) => statSync(path).isFile());
}
