/** Opens and closes live sockets: `$connect` admits a client with a ticket, `$disconnect` removes the connection. */
import type { APIGatewayProxyStructuredResultV2, APIGatewayProxyWebsocketEventV2 } from 'aws-lambda';
import { removeConnection } from '../../api/live/connections.ts';
import { admit } from '../../api/live/handshake.ts';
import { Problem } from '../../domain/errors.ts';
import { openAws } from '../aws/platform.ts';

const platform = openAws();

/** Only `$connect` has the headers of the handshake, in the client's upper and lower case. */
type SocketEvent = APIGatewayProxyWebsocketEventV2 & { headers?: { [name: string]: string } };

export async function handler(event: SocketEvent): Promise<APIGatewayProxyStructuredResultV2> {
  const { eventType, connectionId } = event.requestContext;
  if (eventType === 'DISCONNECT') {
    await removeConnection(platform, connectionId);
    return { statusCode: 200 };
  }
  try {
    const { account } = await admit(platform, handshakeOf(event), connectionId);
    // The socket accepts messages only after this function has answered, so another function sends them.
    await platform.notifyLive(account);
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
