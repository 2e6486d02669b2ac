import type { APIGatewayProxyEventV2 } from 'aws-lambda';

/**
 * The request with its query as the client wrote it. API Gateway joins repeated parameters with commas, and the adapter takes any comma
 * for such a join, so that neither `?type=a&type=b` nor `?path=a,b` would arrive as it was meant.
 */
export function asSent(event: APIGatewayProxyEventV2): APIGatewayProxyEventV2 {
  const { queryStringParameters: _, ...rest } = event;
  return { ...rest, rawPath: event.rawQueryString ? `${event.rawPath}?${event.rawQueryString}` : event.rawPath };
}
