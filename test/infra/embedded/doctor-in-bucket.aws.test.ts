/** `listbackup doctor` on a data folder with its blobs in a bucket. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CreateBucketCommand } from '@aws-sdk/client-s3';
import { expect, inject, it, onTestFinished } from 'vitest';
import { openBucket, parseBucket } from '../../../infra/embedded/bucket.ts';
import { ministackClients } from '../../emulator/aws-resources.ts';
import { makeBackedUp } from '../../faults/backed-up.ts';

const program = fileURLToPath(new URL('../../../infra/embedded/doctor.ts', import.meta.url));

it('checks the blobs in the bucket', async () => {
  const clients = ministackClients();
  await clients.s3().send(new CreateBucketCommand({ Bucket: 'doctor-blobs' }));
  clients.close();
  const { endpoint, region } = inject('ministack');
  const env = {
    LISTBACKUP_BLOBS: 's3://doctor-blobs/some/prefix',
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
  };
  const root = await mkdtemp(join(tmpdir(), 'listbackup-doctor-'));
  onTestFinished(() => rm(root, { recursive: true }));
  const { data } = await makeBackedUp(root, env);

  const doctor = (more: { [name: string]: string }) =>
    new Promise<{ code: number; output: string }>((resolve) => {
      const args = ['--disable-warning=ExperimentalWarning', program, '--data', data, '--read-data'];
      execFile(process.execPath, args, { env: { PATH: process.env.PATH, ...more } }, (error, stdout, stderr) =>
        resolve({ code: Number(error?.code ?? 0), output: stdout + stderr }),
      );
    });

  expect(await doctor(env)).toMatchObject({ code: 0, output: expect.stringMatching(/No failures found/) });
  expect(await doctor({})).toMatchObject({
    code: 2,
    output: expect.stringMatching(/Set LISTBACKUP_BLOBS=s3:\/\/doctor-blobs\/some\/prefix/),
  });
  const bucket = parseBucket(env);
  if (!bucket) throw new Error('no bucket');
  const { blobs, close } = await openBucket(bucket);
  const [pack] = (await blobs.list('packs/', { limit: 1 })).items;
  await blobs.delete([pack?.key ?? '']);
  close();
  expect(await doctor(env)).toMatchObject({ code: 1, output: expect.stringMatching(/FAILURE: packs \(1\)/) });
});
