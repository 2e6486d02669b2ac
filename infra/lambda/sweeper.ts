/** Sweeps once a minute: revives stalled runs and removes expired exports. */
import { sweep } from '../../processors/backup/sweep.ts';
import { awsDeployment } from './deployment.ts';

const deployment = awsDeployment();

export async function handler(): Promise<void> {
  await sweep(deployment);
}
