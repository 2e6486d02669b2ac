/** The AWS home as processors and API know it: no folders, list prices, and whom it may call on a private network. */
import type { ConnectorContext } from '../../connectors/connector.ts';
import { awsList } from '../../processors/meter.ts';
import type { Home } from '../../processors/run.ts';
import { type AwsMachine, openAws } from '../aws/machine.ts';

type Environment = { [name: string]: string | undefined };

export function awsHome(env: Environment = process.env): Home & { machine: AwsMachine } {
  return { machine: openAws(env), connectors: connectorContext(env), prices: awsList };
}

/** The same for every account. */
export function connectorContext(env: Environment): (account: string) => ConnectorContext {
  const hosts = (env.LISTBACKUP_ALLOW_HOSTS ?? '').split(',').map((host) => host.trim());
  const context = { allowHosts: hosts.filter((host) => host !== '') };
  return () => context;
}
