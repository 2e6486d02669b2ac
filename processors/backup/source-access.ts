/** How a run reaches its source, as plain data. */
import type { ConnectorContext } from '../../connectors/connector.ts';
import type { JsonObject } from '../../domain/ports.ts';

/**
 * Identifies the listed source: a hash of its settings and, where the connector knows it, the source identity. All
 * steps of a run must have the same origin, so that no step reads another folder.
 */
export type Origin = { settings: string; sourceIdentity: string | null };

/** Settings and credentials with which a thread opens the source. Plain data. */
export type SourceAccess = {
  type: string;
  config: JsonObject;
  credentials: JsonObject | null;
  context: ConnectorContext;
  /** A hash of the settings. */
  settings: string;
};
