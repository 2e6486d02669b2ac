/** The door of the live socket: `$connect` lets in who brings a ticket, `$disconnect` forgets. */
import type { APIGatewayProxyStructuredResultV2, APIGatewayProxyWebsocketEventV2 } from 'aws-lambda';
import { removeConnection } from '../../api/live/connections.ts';
import { admit } from '../../api/live/handshake.ts';
import { Problem } from '../../domain/errors.ts';
import { openAws } from '../aws/platform.ts';

const platform = openAws();

/** The headers of the handshake come with `$connect` alone, written as the client wrote them. */
type SocketEvent = APIGatewayProxyWebsocketEventV2 & { headers?: { [name: string]: string } };

export async function handler(event: SocketEvent): Promise<APIGatewayProxyStructuredResultV2> {
  const { eventType, connectionId } = event.requestContext;
  if (eventType === 'DISCONNECT') {
    await removeConnection(platform, connectionId);
    return { statusCode: 200 };
  }
  try {
    const { account } = await admit(platform, handshakeOf(event), connectionId);
    // It can only be sent to once this has answered; somebody else will then do it.
    await platform.wakeLive(account);
    return { statusCode: 200 };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    return { statusCode: error.status };
  }
}

function handshakeOf({ headers = {}, queryStringParameters: query = {} }: SocketEvent) {
  const { origin, host } = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  return { ticket: query.ticket, since: query.since, origin, host };
}
