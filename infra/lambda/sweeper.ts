/** Once a minute: sends lost tasks again, removes expired exports, repairs and destroys keys. */
import { maintain } from '../../processors/maintain.ts';
import { awsDeployment } from './deployment.ts';

const deployment = awsDeployment();

export async function handler(): Promise<void> {
  await maintain(deployment);
}
