/**
 * Takes a stage away that holds nothing worth keeping: `node infra/cdk/destroy.ts test`. Every other stage is refused: there, tables and
 * buckets would stay, and CloudFormation itself keeps the stacks.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { DeleteObjectsCommand, ListObjectVersionsCommand, NoSuchBucket, S3Client } from '@aws-sdk/client-s3';
import { DeleteParametersCommand, SSMClient } from '@aws-sdk/client-ssm';
import { secretNames } from './secrets.ts';
import { bucketName, type Stage, stage } from './stage.ts';
import { toldBy } from './stage-options.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const kinds = ['data', 'checkpoints', 'failed'];

/** What CloudFormation does not take away: what is in buckets, which keeps them, and the secrets, which are not its own. */
export async function clearAway(s3: S3Client, ssm: SSMClient, of: Stage): Promise<void> {
  if (!of.disposable) throw new Error(`stage ${of.name} is kept: only stage test can be taken away as a whole`);
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
      if (Errors[0]) throw new Error(`${Bucket} cannot be emptied: ${Errors[0].Code} ${Errors[0].Message}`);
    }
  } catch (error) {
    if (!(error instanceof NoSuchBucket)) throw error;
  }
}

/** `remove` answers 0 when all is gone. Twice if need be: what works until its stack goes may write to a bucket once more. */
export async function takeAway(clear: () => Promise<void>, remove: () => Promise<number>): Promise<number> {
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
    toldBy(() => undefined, process.env),
  );
  const s3 = new S3Client(process.env.AWS_ENDPOINT_URL ? { forcePathStyle: true } : {});
  const ssm = new SSMClient({});
  try {
    process.exitCode = await takeAway(
      () => clearAway(s3, ssm, of),
      () => removeStacks(of),
    );
  } finally {
    s3.destroy();
    ssm.destroy();
  }
}
