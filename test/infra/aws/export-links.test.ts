import { afterEach, expect, test, vi } from 'vitest';
import { awsClients } from '../../../infra/aws/clients.ts';
import { exportLinks } from '../../../infra/aws/export-links.ts';

afterEach(() => vi.unstubAllEnvs());

async function hostOf(env: { [name: string]: string }): Promise<string> {
  vi.stubEnv('AWS_ACCESS_KEY_ID', 'AKIAEXAMPLE');
  vi.stubEnv('AWS_SECRET_ACCESS_KEY', 'secret');
  vi.stubEnv('AWS_REGION', 'eu-west-1');
  const clients = awsClients(env);
  const link = exportLinks(clients.links, () => 'listbackup-data-main');
  const url = new URL(
    await link('exports/acc_1/a', { fileName: 'attachment; filename="a.zip"', type: 'application/zip' }),
  );
  clients.close();
  return url.host;
}

test('links to S3 in the region, or to S3 Transfer Acceleration when the stage enables it', async () => {
  expect(await hostOf({})).toBe('listbackup-data-main.s3.eu-west-1.amazonaws.com');
  expect(await hostOf({ ACCELERATED_LINKS: 'false' })).toBe('listbackup-data-main.s3.eu-west-1.amazonaws.com');
  expect(await hostOf({ ACCELERATED_LINKS: 'true' })).toBe('listbackup-data-main.s3-accelerate.amazonaws.com');
});

test('links to a custom endpoint without acceleration', async () => {
  expect(await hostOf({ ACCELERATED_LINKS: 'true', AWS_ENDPOINT_URL: 'http://127.0.0.1:4566' })).toBe('127.0.0.1:4566');
});
