/** The program behind `scripts/deploy.sh`: looks whether the deployment can succeed, makes the secrets, deploys, says where it answers. */
import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SSMClient } from '@aws-sdk/client-ssm';
import { type DeployCommand, parseDeployCommand, stacksOf, usage } from './deploy-groups.ts';
import { check, NotReady, parameters, whereTo } from './preflight.ts';
import { makeSecrets } from './secrets.ts';
import { type Stage, stackName, stage } from './stage.ts';
import { toldBy } from './stage-options.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Answers the exit code. */
async function deploy(command: DeployCommand): Promise<number> {
  const target = stage(
    command.stage,
    toldBy(() => undefined, process.env),
  );
  const { account, region, caller } = await whereTo();
  say(`stage ${target.name} → account ${account}, ${region}, as ${caller}`);
  await check(target, command.groups, { account, region, caller });
  await secrets(target, command.dryRun);
  return command.dryRun ? compare(command, target, region) : carryOut(command, target, region);
}

async function secrets(target: Stage, dryRun: boolean): Promise<void> {
  const { toMake, notSet } = await parameters(target);
  for (const name of notSet) say(`not set (optional): ${name}`);
  if (toMake.length === 0) return;
  if (dryRun) return say(`would make the secrets ${toMake.join(', ')}`);
  const ssm = new SSMClient({});
  try {
    const made = await makeSecrets(ssm, target);
    if (made.length > 0) say(`made the secrets ${made.join(', ')}`);
  } finally {
    ssm.destroy();
  }
}

/** Against the templates that are deployed: a change set would need rights to make one, and leave a trace. */
function compare(command: DeployCommand, target: Stage, region: string): Promise<number> {
  return cdk(['diff', ...stacksOf(command.groups, target), '--exclusively', '--method=template'], command, region);
}

async function carryOut(command: DeployCommand, target: Stage, region: string): Promise<number> {
  const work = await mkdtemp(join(tmpdir(), 'listbackup-deploy-'));
  const outputs = join(work, 'outputs.json');
  try {
    const approval = command.yes ? 'never' : 'broadening';
    // One after the other, in the order of their needs: what a deployment prints can be read.
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
      say(
        `\nNot deployed. What CloudFormation undid can be deployed again with the same command; more: docs/troubleshooting.md`,
      );
      return code;
    }
    for (const line of addresses(JSON.parse(await readFile(outputs, 'utf8')), target)) say(line);
    return 0;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** The outputs of the API's stack, by what they are for. */
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

function say(line: string): void {
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
