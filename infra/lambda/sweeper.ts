/** Once a minute: sends lost tasks again and removes expired exports. */
import { maintainTasks } from '../../processors/tasks.ts';
import { awsDeployment } from './deployment.ts';

const deployment = awsDeployment();

export async function handler(): Promise<void> {
  await maintainTasks(deployment);
}
