/** Runs `scripts/deploy.sh` against the emulator, as an operator does. */
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { App } from 'aws-cdk-lib';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { context, listbackup } from '../../../infra/cdk/listbackup.ts';
import { stage } from '../../../infra/cdk/stage.ts';
import { forEmulator } from '../../emulator/template.ts';
import { routes } from './synth.ts';

const script = fileURLToPath(new URL('../../../scripts/deploy.sh', import.meta.url));
const name = 'by-hand';
let templates: string;

beforeAll(async () => {
  // `cdk bootstrap` creates this bucket on AWS.
  const { account, region } = inject('ministack');
  const s3 = new S3Client(connection());
  await s3.send(new CreateBucketCommand({ Bucket: `cdk-hnb659fds-assets-${account}-${region}` }));
  s3.destroy();
  templates = await mkdtemp(join(tmpdir(), 'listbackup-by-hand-'));
  const app = new App({ outdir: templates, context: { ...context, 'aws:cdk:bundling-stacks': [] } });
  listbackup(app, stage(name), routes);
  app.synth();
  for (const file of (await readdir(templates)).filter((each) => each.endsWith('.template.json'))) {
    const path = join(templates, file);
    await writeFile(path, JSON.stringify(forEmulator(JSON.parse(await readFile(path, 'utf8')), 'byhand').template));
  }
});
afterAll(() => rm(templates, { recursive: true, force: true }));

function deploy(args: string[], env: { [name: string]: string } = {}): Promise<{ code: number; output: string }> {
  const { environment } = inject('ministack');
  return new Promise((resolve) => {
    const options = {
      env: { PATH: process.env.PATH, HOME: templates, AWS_EC2_METADATA_DISABLED: 'true', ...environment, ...env },
    };
    execFile(script, args, options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr });
    });
  });
}

function connection() {
  const { endpoint, region } = inject('ministack');
  return { endpoint, region, credentials: { accessKeyId: 'test', secretAccessKey: 'test' } };
}

async function stackExists(group: string): Promise<boolean> {
  const client = new CloudFormationClient(connection());
  const answer = await client
    .send(new DescribeStacksCommand({ StackName: `listbackup-${name}-${group}` }))
    .catch(() => ({ Stacks: [] }));
  client.destroy();
  return (answer.Stacks ?? []).length > 0;
}

test('reports rejected credentials before any change', async () => {
  const { code, output } = await deploy([name, 'core'], { AWS_ACCESS_KEY_ID: '', AWS_SECRET_ACCESS_KEY: '' });
  expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining('Sign in (aws sso login)') });
});

test('names the bootstrap command for a region without bootstrap', async () => {
  const { code, output } = await deploy([name, 'core'], { AWS_REGION: 'eu-west-3', AWS_DEFAULT_REGION: 'eu-west-3' });
  expect({ code, output }).toEqual({
    code: 1,
    output: expect.stringContaining('npx cdk bootstrap aws://000000000000/eu-west-3'),
  });
});

test('names the group to deploy first if it is missing', async () => {
  const { code, output } = await deploy([name, 'analytics', '--app', templates]);
  expect({ code, output }).toEqual({ code: 1, output: expect.stringContaining(`scripts/deploy.sh ${name} core`) });
});

test('shows the changes, deploys them, and then reports no differences', async () => {
  const dryRun = await deploy([name, 'core', '--dry-run', '--app', templates]);
  expect(dryRun).toMatchObject({
    code: 0,
    output: expect.stringContaining(`would create the secrets /listbackup/${name}/jwt-secret`),
  });
  expect(dryRun.output).toContain('AWS::DynamoDB::GlobalTable');
  expect(await stackExists('core')).toBe(false);

  const done = await deploy([name, 'core', '--yes', '--app', templates]);
  expect(done).toMatchObject({
    code: 0,
    output: expect.stringContaining(`created the secrets /listbackup/${name}/jwt-secret`),
  });
  expect([await stackExists('core'), await stackExists('auth')]).toEqual([true, false]);

  const again = await deploy([name, 'core', '--dry-run', '--app', templates]);
  expect(again).toMatchObject({ code: 0, output: expect.stringContaining('There were no differences') });
  expect(again.output).not.toContain('secrets');
});
