/** The acceptance suite on the CDK app deployed to ministack, or on the stage at LISTBACKUP_URL. */
import { randomBytes } from 'node:crypto';
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { beforeAll, describe, inject, it } from 'vitest';
import { ministackClients } from '../emulator/aws-resources.ts';
import { deployedUrl } from '../emulator/deployed.ts';
import { takeMessages } from '../emulator/raw-aws.ts';
import { dataSuite } from './data.ts';
import { folderCases } from './folder.ts';
import { liveSuite } from './live.ts';
import { acceptanceSuite } from './suite.ts';
import type { Target, TestBucket } from './target.ts';

let url: string;
beforeAll(async () => {
  url = process.env.LISTBACKUP_URL ?? (await deployedUrl());
});

async function bucket(): Promise<TestBucket> {
  const { endpoint, region } = inject('ministack');
  const s3 = ministackClients().s3();
  const Bucket = `source-${randomBytes(6).toString('hex')}`;
  await s3.send(new CreateBucketCommand({ Bucket }));
  return {
    config: { bucket: Bucket, endpoint, region },
    credentials: { accessKeyId: 'test', secretAccessKey: 'test' },
    async put(Key, Body, { archived = false } = {}) {
      await s3.send(new PutObjectCommand({ Bucket, Key, Body, StorageClass: archived ? 'GLACIER' : 'STANDARD' }));
    },
    async remove(Key) {
      await s3.send(new DeleteObjectCommand({ Bucket, Key }));
    },
    ...(process.env.LISTBACKUP_URL === undefined && { hold }),
  };
}

/** The function that reads and stores files takes messages of this queue. */
const readers = 'listbackup-test-data-queue';

async function hold(): Promise<() => Promise<void>> {
  await takeMessages(readers, false);
  return () => takeMessages(readers, true);
}

const target = (): Target => ({ deployment: 'aws', url, bucket });

acceptanceSuite('on the deployed CDK app', target);
dataSuite('data, on the deployed CDK app', target);
liveSuite('the live socket, on the deployed CDK app', target);

describe('a folder, on the deployed CDK app, which has no folder sources', () => {
  for (const name of folderCases) it.skip(name);
});
