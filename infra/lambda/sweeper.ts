/** Once a minute: runs that stand still, exports whose time has come. */
import { sweep } from '../../processors/backup/sweep.ts';
import { awsDeployment } from './deployment.ts';

const deployment = awsDeployment();

export async function handler(): Promise<void> {
  await sweep(deployment);
}
