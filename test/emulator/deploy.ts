/**
 * Deploys a stage on ministack as on AWS, with the same app, the CDK CLI and CloudFormation. To do it by hand, run
 * `node test/emulator/ministack.ts` in one terminal. Run its exports and `node test/emulator/deploy.ts` in another.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { SSMClient } from '@aws-sdk/client-ssm';
import { emptyStage } from '../../infra/cdk/destroy.ts';
import { makeSecrets } from '../../infra/cdk/secrets.ts';
import { type Stage, stage } from '../../infra/cdk/stage.ts';
import { forEmulator, liveIdOf } from './template.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));
const account = '000000000000';
const region = 'us-east-1';

export type Deployed = {
  /** Base address of the API, without a trailing slash. */
  url: string;
  /** Everything that was removed from the templates, one line each. */
  dropped: string[];
};

type Options = { stage?: string; settings?: { [name: `LISTBACKUP_${string}`]: string }; groups?: string[] };

/**
 * Deploys or updates the stage on the ministack at this loopback endpoint, as a whole or only some deploy groups.
 * `settings`: `LISTBACKUP_…` variables for the functions. Throws the output of the CLI when a step fails.
 */
export function deployToMinistack(endpoint: string, options: Options = {}): Promise<Deployed> {
  return onMinistack(endpoint, options, async (cdk, dropped, target) => {
    await prepare(endpoint, target.name);
    const groups = options.groups ? [...options.groups, '--exclusively'] : ['--all'];
    await cdk(['deploy', ...groups, '--method=direct', '--concurrency=4', '--require-approval', 'never', '--ci']);
    return { url: urlOnMinistack(endpoint, target.name), dropped };
  });
}

/** Deletes the stage with all its data. */
export async function destroyOnMinistack(endpoint: string, options: Options = {}): Promise<void> {
  await onMinistack(endpoint, options, async (cdk, _, target) => {
    const { s3, ssm, close } = clients(endpoint);
    await emptyStage(s3, ssm, target).finally(close);
    await cdk(['destroy', '--all', '--force', '--concurrency=4', '--ci']);
  });
}

type Cdk = (args: string[]) => Promise<unknown>;

async function onMinistack<T>(
  endpoint: string,
  options: Options,
  use: (cdk: Cdk, dropped: string[], target: Stage) => Promise<T>,
): Promise<T> {
  const host = new URL(endpoint).hostname;
  if (host !== '127.0.0.1')
    throw new Error(`${endpoint} is not a ministack on this machine. Give its address as http://127.0.0.1:<port>.`);
  const target = stage(options.stage ?? 'test');
  const apiId = apiIdOf(target);
  const out = await mkdtemp(join(tmpdir(), 'listbackup-cdk-'));
  const environment = {
    // The caller's own AWS environment is left out, so that a mistake cannot reach a real account.
    PATH: [join(root, 'node_modules', '.bin'), process.env.PATH ?? ''].join(delimiter),
    HOME: out,
    AWS_ACCESS_KEY_ID: 'test',
    AWS_SECRET_ACCESS_KEY: 'test',
    AWS_ENDPOINT_URL: endpoint,
    AWS_REGION: region,
    AWS_DEFAULT_REGION: region,
    AWS_EC2_METADATA_DISABLED: 'true',
    CDK_DISABLE_CLI_TELEMETRY: 'true',
    STAGE: target.name,
    CDK_OUTDIR: join(out, 'cdk.out'),
    LISTBACKUP_ORIGIN: urlOnMinistack(endpoint, target.name),
    LISTBACKUP_LIVE_URL: `${endpoint.replace(/^http/, 'ws')}/_aws/execute-api/${liveIdOf(apiId)}/live`,
    ...options.settings,
  };
  const step = (command: string, args: string[]) =>
    run(command, args, { cwd: root, env: environment, maxBuffer: 64 << 20 });
  try {
    await step('node', ['infra/cdk/app.ts']);
    const dropped = await rewriteTemplates(environment.CDK_OUTDIR, apiId);
    return await use(
      (args) => step('cdk', [...args, '--app', environment.CDK_OUTDIR, '--no-notices', '--no-color']),
      dropped,
      target,
    );
  } finally {
    await rm(out, { recursive: true, force: true });
  }
}

/** The address of the stage's API once it is deployed. */
export function urlOnMinistack(endpoint: string, stageName: string): string {
  return `${endpoint}/_aws/execute-api/${apiIdOf(stage(stageName))}/$default`;
}

/** Eight hex digits, because ids of APIs on AWS are letters and digits. */
function apiIdOf(target: Stage): string {
  return createHash('sha256').update(target.name).digest('hex').slice(0, 8);
}

/** Creates the bucket for assets and the secrets. On AWS, `cdk bootstrap` and the deploy script create them. */
async function prepare(endpoint: string, stageName: string): Promise<void> {
  const { s3, ssm, close } = clients(endpoint);
  try {
    // In us-east-1, creating a bucket that the account owns succeeds.
    await s3.send(new CreateBucketCommand({ Bucket: `cdk-hnb659fds-assets-${account}-${region}` }));
    await makeSecrets(ssm, stage(stageName));
  } finally {
    close();
  }
}

function clients(endpoint: string) {
  const config = { endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
  const s3 = new S3Client({ ...config, forcePathStyle: true });
  const ssm = new SSMClient(config);
  const close = () => {
    s3.destroy();
    ssm.destroy();
  };
  return { s3, ssm, close };
}

async function rewriteTemplates(folder: string, apiId: string): Promise<string[]> {
  const dropped: string[] = [];
  for (const name of (await readdir(folder)).filter((file) => file.endsWith('.template.json')).sort()) {
    const path = join(folder, name);
    const result = forEmulator(JSON.parse(await readFile(path, 'utf8')), apiId);
    dropped.push(...result.dropped);
    await writeFile(path, JSON.stringify(result.template));
  }
  return dropped;
}

if (import.meta.main) {
  const endpoint = process.env.AWS_ENDPOINT_URL;
  if (!endpoint) throw new Error('AWS_ENDPOINT_URL is not set. Set it as `node test/emulator/ministack.ts` prints it.');
  const deployed = await deployToMinistack(endpoint, { ...(process.env.STAGE ? { stage: process.env.STAGE } : {}) });
  for (const line of deployed.dropped) console.error(`not on the emulator: ${line}`);
  console.log(deployed.url);
}
