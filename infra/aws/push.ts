/** Live sockets on API Gateway. Each message is one POST to its management API. */
import {
  type ApiGatewayManagementApiClient,
  DeleteConnectionCommand,
  GoneException,
  PostToConnectionCommand,
} from '@aws-sdk/client-apigatewaymanagementapi';
import type { Push } from '../../domain/ports.ts';
import { checkPush } from '../limits.ts';

export function awsPush(sockets: () => ApiGatewayManagementApiClient): Push {
  return {
    async send(ConnectionId, text) {
      checkPush(text);
      return unlessGone(sockets().send(new PostToConnectionCommand({ ConnectionId, Data: Buffer.from(text) })));
    },
    async close(ConnectionId) {
      await unlessGone(sockets().send(new DeleteConnectionCommand({ ConnectionId })));
    },
  };
}

async function unlessGone(request: Promise<unknown>): Promise<'sent' | 'gone'> {
  try {
    await request;
    return 'sent';
  } catch (error) {
    if (error instanceof GoneException) return 'gone';
    throw error;
  }
}
