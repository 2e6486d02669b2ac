/** The program behind `scripts/deploy.sh`: checks the preconditions, creates secrets, deploys, prints the addresses. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SSMClient } from '@aws-sdk/client-ssm';
import { type DeployCommand, parseDeployCommand, stacksOf, usage } from './deploy-groups.ts';
import { check, findTarget, NotReady, parameters } from './preflight.ts';
import { makeSecrets } from './secrets.ts';
import { type Stage, stackName, stage } from './stage.ts';
import { readOptions } from './stage-options.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Returns the exit code. */
async function deploy(command: DeployCommand): Promise<number> {
  const target = stage(
    command.stage,
    readOptions(() => undefined, process.env),
  );
  const { account, region, caller } = await findTarget();
  print(`stage ${target.name} → account ${account}, ${region}, as ${caller}`);
  await check(target, command.groups, { account, region, caller });
  await secrets(target, command.dryRun);
  return command.dryRun ? showChanges(command, target, region) : deployStacks(command, target, region);
}

async function secrets(target: Stage, dryRun: boolean): Promise<void> {
  const { missing, notSet } = await parameters(target);
  for (const name of notSet) print(`optional parameter not set: ${name}`);
  if (missing.length === 0) return;
  if (dryRun) return print(`would create the secrets ${missing.join(', ')}`);
  const ssm = new SSMClient({});
  try {
    const created = await makeSecrets(ssm, target);
    if (created.length > 0) print(`created the secrets ${created.join(', ')}`);
  } finally {
    ssm.destroy();
  }
}

/** Compares with the deployed templates. A change set would need more rights and leave a trace in the account. */
function showChanges(command: DeployCommand, target: Stage, region: string): Promise<number> {
  return cdk(['diff', ...stacksOf(command.groups, target), '--exclusively', '--method=template'], command, region);
}

async function deployStacks(command: DeployCommand, target: Stage, region: string): Promise<number> {
  const work = await mkdtemp(join(tmpdir(), 'listbackup-deploy-'));
  const outputs = join(work, 'outputs.json');
  try {
    const approval = command.yes ? 'never' : 'broadening';
    // One stack at a time, so that the output stays readable.
    const options = [
      '--exclusively',
      '--method=direct',
      '--concurrency=1',
      '--require-approval',
      approval,
      '--outputs-file',
      outputs,
    ];
    const code = await cdk(['deploy', ...stacksOf(command.groups, target), ...options], command, region);
    if (code !== 0) {
      print(`\nThe deployment failed. Fix the cause and run the same command again. Help: docs/troubleshooting.md`);
      return code;
    }
    for (const line of addresses(JSON.parse(await readFile(outputs, 'utf8')), target)) print(line);
    return 0;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Returns lines with the addresses from the outputs of the API stack. */
function addresses(outputs: { [stack: string]: { [name: string]: string } }, target: Stage): string[] {
  const api = outputs[stackName(target, 'api')] ?? {};
  const url = api.Url?.replace(/\/$/, '');
  return [
    ...(url ? [`\nAPI     ${url}`, `docs    ${url}/docs`, `health  ${url}/health`] : []),
    ...(api.LiveUrl ? [`live    ${api.LiveUrl}`] : []),
  ];
}

function cdk(args: string[], command: DeployCommand, region: string): Promise<number> {
  const app = command.app ?? 'node --disable-warning=ExperimentalWarning infra/cdk/app.ts';
  const child = spawn('cdk', [...args, '--app', app, '--no-notices'], {
    cwd: root,
    stdio: 'inherit',
    env: {
      ...process.env,
      STAGE: command.stage,
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      CDK_DISABLE_CLI_TELEMETRY: 'true',
    },
  });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

function print(line: string): void {
  console.log(line);
}

const command = parseDeployCommand(process.argv.slice(2));
if ('wrong' in command) {
  if (process.argv.length > 2 && !process.argv.includes('--help')) console.error(`${command.wrong}\n`);
  console.error(usage);
  process.exitCode = 2;
} else {
  process.exitCode = await deploy(command).catch((error: unknown) => {
    if (!(error instanceof Error)) throw error;
    console.error(error instanceof NotReady ? error.message : `${error.name}: ${error.message}`);
    return 1;
  });
}
