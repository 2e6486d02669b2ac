/** What a request that came by CloudFront tells of itself, and how it proves that it came that way. */
import type { APIGatewayProxyEventV2 } from 'aws-lambda';

/** Set by CloudFront, over whatever a client sends under the same names. */
export const proofHeader = 'x-listbackup-edge';
export const hostHeader = 'x-listbackup-host';
export const viewerHeader = 'x-listbackup-viewer';

/**
 * The request as the client made it at the edge: its own address (limits count by it), and the name it was sent to. undefined: it came
 * past the edge, and with it past the web firewall.
 */
export function fromEdge(
  event: APIGatewayProxyEventV2,
  proof: string,
): { event: APIGatewayProxyEventV2; origin: string } | undefined {
  const { [proofHeader]: shown, [hostHeader]: host, [viewerHeader]: sourceIp, ...headers } = event.headers;
  if (shown !== proof || !host || !sourceIp) return undefined;
  const { requestContext } = event;
  return {
    origin: `https://${host}`,
    event: { ...event, headers, requestContext: { ...requestContext, http: { ...requestContext.http, sourceIp } } },
  };
}
