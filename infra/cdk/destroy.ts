/**
 * Deletes stage `test`: `node infra/cdk/destroy.ts test`. It refuses every other stage, because those are protected:
 * CloudFormation keeps their stacks, tables and buckets.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { DeleteObjectsCommand, ListObjectVersionsCommand, NoSuchBucket, S3Client } from '@aws-sdk/client-s3';
import { DeleteParametersCommand, SSMClient } from '@aws-sdk/client-ssm';
import { secretNames } from './secrets.ts';
import { bucketName, type Stage, stage } from './stage.ts';
import { readOptions } from './stage-options.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const kinds = ['data', 'keys', 'checkpoints', 'failed'];

/** Empties the buckets, so that CloudFormation can delete them, and deletes the secrets, which no stack owns. */
export async function emptyStage(s3: S3Client, ssm: SSMClient, of: Stage): Promise<void> {
  if (!of.disposable)
    throw new Error(`Stage ${of.name} is protected. Only stage test can be deleted with this script.`);
  for (const kind of kinds) await empty(s3, bucketName(of, kind));
  await ssm.send(new DeleteParametersCommand({ Names: secretNames(of) }));
}

async function empty(s3: S3Client, Bucket: string): Promise<void> {
  try {
    for (;;) {
      const { Versions = [], DeleteMarkers = [] } = await s3.send(
        new ListObjectVersionsCommand({ Bucket, MaxKeys: 1000 }),
      );
      const Objects = [...Versions, ...DeleteMarkers].map(({ Key, VersionId }) => ({ Key, VersionId }));
      if (Objects.length === 0) return;
      const { Errors = [] } = await s3.send(new DeleteObjectsCommand({ Bucket, Delete: { Objects, Quiet: true } }));
      if (Errors[0]) throw new Error(`Bucket ${Bucket} cannot be emptied: ${Errors[0].Code} ${Errors[0].Message}`);
    }
  } catch (error) {
    if (!(error instanceof NoSuchBucket)) throw error;
  }
}

/**
 * Empties the stage and removes its stacks. On failure it repeats both once, because functions of the stage may still
 * write to a bucket. `remove` and this function return an exit code.
 */
export async function destroyStage(clear: () => Promise<void>, remove: () => Promise<number>): Promise<number> {
  await clear();
  if ((await remove()) === 0) return 0;
  await clear();
  return remove();
}

function removeStacks(of: Stage): Promise<number> {
  const app = 'node --disable-warning=ExperimentalWarning infra/cdk/app.ts';
  const child = spawn('cdk', ['destroy', '--all', '--force', '--no-notices', '--app', process.env.CDK_APP ?? app], {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, STAGE: of.name, CDK_DISABLE_CLI_TELEMETRY: 'true' },
  });
  return new Promise((resolve, reject) => child.once('error', reject).once('exit', (code) => resolve(code ?? 1)));
}

if (import.meta.main) {
  const of = stage(
    process.argv[2] ?? '',
    readOptions(() => undefined, process.env),
  );
  const s3 = new S3Client(process.env.AWS_ENDPOINT_URL ? { forcePathStyle: true } : {});
  const ssm = new SSMClient({});
  try {
    process.exitCode = await destroyStage(
      () => emptyStage(s3, ssm, of),
      () => removeStacks(of),
    );
  } finally {
    s3.destroy();
    ssm.destroy();
  }
}
