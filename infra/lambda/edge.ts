/** Headers that CloudFront adds to a request: a proof that it came through CloudFront, the host and the client. */
import type { APIGatewayProxyEventV2 } from 'aws-lambda';

/** CloudFront overwrites headers with these names from a client. */
export const proofHeader = 'x-listbackup-edge';
export const hostHeader = 'x-listbackup-host';
export const viewerHeader = 'x-listbackup-viewer';

/**
 * The request as the client sent it to CloudFront: with the client's address, which rate limits use, and the host it
 * called. Undefined when the request bypassed CloudFront and thereby the web firewall.
 */
export function fromEdge(
  event: APIGatewayProxyEventV2,
  proof: string,
): { event: APIGatewayProxyEventV2; origin: string } | undefined {
  const { [proofHeader]: shownProof, [hostHeader]: host, [viewerHeader]: sourceIp, ...headers } = event.headers;
  if (shownProof !== proof || !host || !sourceIp) return undefined;
  const { requestContext } = event;
  return {
    origin: `https://${host}`,
    event: { ...event, headers, requestContext: { ...requestContext, http: { ...requestContext.http, sourceIp } } },
  };
}
