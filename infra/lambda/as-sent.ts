import type { APIGatewayProxyEventV2 } from 'aws-lambda';

/** The gateway decodes the path, and the adapter would take what was part of a segment for more: `..`, a query, a fragment. */
const special = /[?#\\]/g;
const climbs = /(^|\/|%5C)(\.|%2e){1,2}(\/|%5C|$)/i;

/**
 * The request with its query as the client wrote it. API Gateway joins repeated parameters with commas, and the adapter takes any comma
 * for such a join, so that neither `?type=a&type=b` nor `?path=a,b` would arrive as it was meant.
 */
export function asSent(event: APIGatewayProxyEventV2): APIGatewayProxyEventV2 {
  const { queryStringParameters: _, ...rest } = event;
  const whole = event.rawPath.replaceAll(special, encodeURIComponent);
  // nothing of ours is where one has to climb to
  const path = climbs.test(whole) ? `/${encodeURIComponent(whole)}` : whole;
  return { ...rest, rawPath: event.rawQueryString ? `${path}?${event.rawQueryString}` : path };
}
