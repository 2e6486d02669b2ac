/** How a run reaches its source, as plain data. */
import type { ConnectorContext } from '../../connectors/connector.ts';
import type { JsonObject } from '../../domain/ports.ts';

/**
 * What the run listed: a hash of the source's settings and, where the connector knows it, the source identity. All
 * steps of a run must have the same origin, so that no other folder is taken for the listed one.
 */
export type Origin = { settings: string; sourceIdentity: string | null };

/** What a thread needs to open the source. Plain data. */
export type SourceAccess = {
  type: string;
  config: JsonObject;
  credentials: JsonObject | null;
  context: ConnectorContext;
  /** A hash of the settings. */
  settings: string;
};
