import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { expect, test } from 'vitest';
import { fromEdge } from '../../../infra/lambda/edge.ts';

const request = (headers: { [name: string]: string }) =>
  ({
    headers,
    requestContext: { domainName: 'abc.execute-api.eu-west-1.amazonaws.com', http: { sourceIp: '130.176.0.1' } },
  }) as never as APIGatewayProxyEventV2;
const edgeHeaders = { 'x-listbackup-host': 'd1.cloudfront.net', 'x-listbackup-viewer': '2001:db8::7' };

test('gives a request from CloudFront the address of its client and the host that the client called', () => {
  const arrived = fromEdge(request({ ...edgeHeaders, 'x-listbackup-edge': 'proof', accept: '*/*' }), 'proof');
  expect(arrived?.origin).toBe('https://d1.cloudfront.net');
  expect(arrived?.event.requestContext.http.sourceIp).toBe('2001:db8::7');
  // The proof is removed.
  expect(arrived?.event.headers).toEqual({ accept: '*/*' });
});

test.for([
  edgeHeaders,
  { ...edgeHeaders, 'x-listbackup-edge': '' },
  { ...edgeHeaders, 'x-listbackup-edge': 'guess' },
  { 'x-listbackup-edge': 'proof' },
])('refuses a request that bypassed CloudFront: %j', (headers) => {
  expect(fromEdge(request(headers), 'proof')).toBeUndefined();
});
