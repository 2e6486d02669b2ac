/** Puts the CloudFormation templates of the stages before cfn-lint and checkov (cdk-nag judges in the synthesis itself): `npm run lint:templates`. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { context, listbackup } from '../infra/cdk/listbackup.ts';
import { addNagChecks } from '../infra/cdk/nag-checks.ts';
import { stage } from '../infra/cdk/stage.ts';
import { routes } from '../processors/index.ts';
import { pythonWith } from './venv.ts';

const stages = ['main', 'test', 'prod'];

// W3005: CDK writes out dependencies that a reference already implies.
const cfnLint = [
  '-c',
  'import sys; from cfnlint.runner import main; sys.exit(main())',
  '--ignore-checks',
  'W3005',
  '--',
];
// Judged by the rules that came with it: nothing is asked of anybody's service.
const checkov = [
  '-m',
  'checkov.main',
  '--framework',
  'cloudformation',
  '--skip-download',
  '--compact',
  '--quiet',
  '--directory',
];

const python = await pythonWith('template-linters');
const work = await mkdtemp(join(tmpdir(), 'templates-'));
let failed = false;
try {
  for (const name of stages) {
    const outdir = join(work, name);
    const app = new App({ outdir, context: { ...context, 'aws:cdk:bundling-stacks': [] } });
    listbackup(app, stage(name), routes);
    addNagChecks(app);
    app.synth();
    const templates = (await readdir(outdir))
      .filter((file) => file.endsWith('.template.json'))
      .map((file) => join(outdir, file));
    if (templates.length === 0) throw new Error(`stage ${name} has no templates`);
    for (const [addNagChecks, args] of [
      ['cfn-lint', [...cfnLint, ...templates]],
      ['checkov', [...checkov, outdir]],
    ] as const) {
      const { status } = spawnSync(python, args, { stdio: 'inherit' });
      console.log(`${addNagChecks}, stage ${name}: ${status === 0 ? 'nothing found' : 'findings above'}`);
      if (status !== 0) failed = true;
    }
  }
} finally {
  await rm(work, { recursive: true, force: true });
}
if (failed || process.exitCode) process.exitCode = 1;
else console.log(`The templates of ${stages.join(', ')} are clean.`);
