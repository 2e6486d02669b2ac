/** `node infra/cdk/app.ts` writes the CloudFormation templates of the stage named by `STAGE` (default `main`) to `cdk.out`. */
import { App } from 'aws-cdk-lib';
import { routes } from '../../processors/index.ts';
import { context, listbackup } from './listbackup.ts';
import { stage } from './stage.ts';

const app = new App({ context, outdir: process.env.CDK_OUTDIR ?? 'cdk.out' });
listbackup(app, stage(process.env.STAGE || 'main'), routes);
app.synth();
