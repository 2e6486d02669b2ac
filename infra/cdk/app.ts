/** `node infra/cdk/app.ts` writes the CloudFormation templates of stage `$STAGE` (default `main`) to `cdk.out`. */
import { App } from 'aws-cdk-lib';
import { routes } from '../../processors/index.ts';
import { context, listbackup } from './listbackup.ts';
import { addNagChecks } from './nag-checks.ts';
import { stage } from './stage.ts';
import { readOptions } from './stage-options.ts';

const app = new App({ context, outdir: process.env.CDK_OUTDIR ?? 'cdk.out' });
const options = readOptions((key) => app.node.tryGetContext(key), process.env);
listbackup(app, stage(process.env.STAGE || 'main', options), routes);
addNagChecks(app);
app.synth();
