import type { APIGatewayProxyEventV2 } from 'aws-lambda';

/** API Gateway decodes the path. The adapter would read a decoded character of a segment as `..`, query or fragment. */
const delimiters = /[?#\\]/g;
const hasDotSegment = /(^|\/|%5C)(\.|%2e){1,2}(\/|%5C|$)/i;

/**
 * Restores the path and query as the client wrote them. API Gateway joins repeated parameters with commas, and the
 * adapter splits at every comma. Without this, `?type=a&type=b` and `?path=a,b` would look the same.
 */
export function withRawPath(event: APIGatewayProxyEventV2): APIGatewayProxyEventV2 {
  const { queryStringParameters: _, ...rest } = event;
  const encoded = event.rawPath.replaceAll(delimiters, encodeURIComponent);
  // No route has a dot segment. Encoded as one segment, the path leads to 404.
  const path = hasDotSegment.test(encoded) ? `/${encodeURIComponent(encoded)}` : encoded;
  return { ...rest, rawPath: event.rawQueryString ? `${path}?${event.rawQueryString}` : path };
}
