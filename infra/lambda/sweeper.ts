/** Once a minute: runs that stand still, exports whose time has come. */
import { sweep } from '../../processors/sweep.ts';
import { awsHome } from './home.ts';

const home = awsHome();

export async function handler(): Promise<void> {
  await sweep(home);
}
