/** The environment of the processors: ports, connectors, prices, limits and the engine. */
import type { ConnectorContext } from '../connectors/connector.ts';
import type { Platform, QueueName } from '../domain/ports.ts';
import type { Engine } from './backup/engine.ts';
import type { Limits } from './limits.ts';
import type { Prices } from './meter.ts';

export type Deployment = {
  platform: Platform;
  /** Which hosts and folders the account may back up. */
  connectors(account: string): ConnectorContext;
  prices: Prices;
  /** Default: `defaultLimits`. Tests set small limits. */
  limits?: Limits;
  /** Default: `maxWorkers`. */
  workers?: { [queue in QueueName]: number };
  /** Exports are not encrypted, because signed links serve them. */
  plainExports?: boolean;
  /** Default: an engine in the calling thread. */
  engine?: Engine;
  /** Called when the progress of a run may have changed. */
  progressed?(account: string, runId: string): void | Promise<void>;
  /** Awaited at each step boundary with its name. Tests use it to stop or delay the process there. */
  reached?: (step: string) => void | Promise<void>;
};
