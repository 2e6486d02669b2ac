/** The kinds of sources there are. */
import type { AnyConnector } from './connector.ts';
import { folder } from './folder.ts';

export const connectors: readonly AnyConnector[] = [folder];

/** The connector of that type, if there is one. */
export function connectorFor(type: string): AnyConnector | undefined {
  return connectors.find((connector) => connector.type === type);
}
