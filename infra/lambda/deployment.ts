/** The AWS deployment for processors and API: no local folders, AWS list prices, and the allowed private hosts. */
import type { ConnectorContext } from '../../connectors/connector.ts';
import type { Deployment } from '../../processors/deployment.ts';
import { awsLimits } from '../aws/limits.ts';
import { type AwsPlatform, openAws } from '../aws/platform.ts';
import { awsList } from '../aws/prices.ts';

type Environment = { [name: string]: string | undefined };

export function awsDeployment(env: Environment = process.env): Deployment & { platform: AwsPlatform } {
  return { platform: openAws(env), connectors: connectorContext(env), prices: awsList, limits: awsLimits };
}

/** The context is the same for every account. */
export function connectorContext(env: Environment): (account: string) => ConnectorContext {
  const hosts = (env.LISTBACKUP_ALLOW_HOSTS ?? '').split(',').map((host) => host.trim());
  const context = { allowHosts: hosts.filter((host) => host !== '') };
  return () => context;
}
