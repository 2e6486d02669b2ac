/** What a deployment gives the processors besides its ports. */
import type { ConnectorContext } from '../connectors/connector.ts';
import type { Platform } from '../domain/ports.ts';
import type { SharedPackers } from '../vault/shared-packers.ts';
import type { Workers } from '../vault/workers.ts';
import type { Intake } from './backup/intake.ts';
import type { Prices } from './meter.ts';

export type Deployment = {
  platform: Platform;
  /** Which hosts and folders the account may back up. */
  connectors(account: string): ConnectorContext;
  prices: Prices;
  /** Default: `defaultLimits`. Tests set small limits. */
  limits?: Limits;
  /** Shared by all batches of the process. Without it each batch has its own packs and runs in the calling thread. */
  storing?: { workers: Workers; packers: SharedPackers; intake: Intake };
  /** Awaited at each step boundary with its name. Tests use it to stop or delay the process there. */
  reached?: (step: string) => void | Promise<void>;
};

export type Limits = {
  /** Items of one listing page. */
  page: number;
  /** The plan saves its position after this many pages, or sooner when a batch is full. */
  pagesPerStep: number;
  /** A batch is full at this many items … */
  batchItems: number;
  /** … or at this many bytes. */
  batchBytes: number;
};

export const defaultLimits: Limits = { page: 1000, pagesPerStep: 20, batchItems: 1000, batchBytes: 64 * 1024 * 1024 };
