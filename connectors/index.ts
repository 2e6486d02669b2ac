/** The kinds of sources there are. */
import type { AnyConnector } from './connector.ts';
import { folder } from './folder.ts';
import { s3 } from './s3.ts';

export const connectors: readonly AnyConnector[] = [folder, s3];

/** The connector of that type, if there is one. */
export function connectorFor(type: string): AnyConnector | undefined {
  return connectors.find((connector) => connector.type === type);
}
