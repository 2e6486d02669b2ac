/** The list of all connectors. */
import type { AnyConnector } from './connector.ts';
import { folder } from './folder.ts';
import { s3 } from './s3.ts';

export const connectors: readonly AnyConnector[] = [folder, s3];

export function connectorFor(type: string): AnyConnector | undefined {
  return connectors.find((connector) => connector.type === type);
}
