/** `npm run lint:templates`: runs cdk-nag (in the synthesis), cfn-lint and checkov on the templates of the stages. */
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

// W3005: CDK writes explicit dependencies that a reference already implies.
const cfnLint = [
  '-c',
  'import sys; from cfnlint.runner import main; sys.exit(main())',
  '--ignore-checks',
  'W3005',
  '--',
];
// --skip-download: checkov uses its built-in rules and contacts no service.
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
    if (templates.length === 0) throw new Error(`Stage ${name} has no templates.`);
    for (const [linter, args] of [
      ['cfn-lint', [...cfnLint, ...templates]],
      ['checkov', [...checkov, outdir]],
    ] as const) {
      const { status } = spawnSync(python, args, { stdio: 'inherit' });
      console.log(`${linter}, stage ${name}: ${status === 0 ? 'no findings' : 'findings above'}`);
      if (status !== 0) failed = true;
    }
  }
} finally {
  await rm(work, { recursive: true, force: true });
}
if (failed || process.exitCode) process.exitCode = 1;
else console.log(`The templates of ${stages.join(', ')} have no findings.`);
