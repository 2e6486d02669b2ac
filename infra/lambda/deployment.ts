/** The AWS deployment for processors and API: no local folders, AWS list prices, and the allowed private hosts. */
import { hasConnections } from '../../api/live/connections.ts';
import type { ConnectorContext } from '../../connectors/connector.ts';
import type { Deployment } from '../../processors/deployment.ts';
import { awsLimits } from '../aws/limits.ts';
import { type AwsPlatform, openAws } from '../aws/platform.ts';
import { awsList } from '../aws/prices.ts';

type Environment = { [name: string]: string | undefined };

export function awsDeployment(env: Environment = process.env): Deployment & { platform: AwsPlatform } {
  const platform = openAws(env);
  return {
    ...{ platform, connectors: connectorContext(env), prices: awsList, limits: awsLimits },
    progressed: (account, runId) =>
      notifyProgress(platform, account, runId).catch((error) =>
        platform.log.error('the progress of a run could not be sent to live sockets', {}, error),
      ),
    plainExports: true,
  };
}

/** The context is the same for every account. */
export function connectorContext(env: Environment): (account: string) => ConnectorContext {
  const hosts = (env.LISTBACKUP_ALLOW_HOSTS ?? '').split(',').map((host) => host.trim());
  const context = { allowHosts: hosts.filter((host) => host !== '') };
  return () => context;
}

/** Costs one read if the account has no live sockets. */
async function notifyProgress(platform: AwsPlatform, account: string, runId: string): Promise<void> {
  if (await hasConnections(platform, account)) await platform.notifyLive(account, runId);
}
