import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { expect, test } from 'vitest';
import { fromEdge } from '../../../infra/lambda/edge.ts';

const request = (headers: { [name: string]: string }) =>
  ({
    headers,
    requestContext: { domainName: 'abc.execute-api.eu-west-1.amazonaws.com', http: { sourceIp: '130.176.0.1' } },
  }) as never as APIGatewayProxyEventV2;
const told = { 'x-listbackup-host': 'd1.cloudfront.net', 'x-listbackup-viewer': '2001:db8::7' };

test('a request from the edge has the address of its client and the name it was sent to', () => {
  const arrived = fromEdge(request({ ...told, 'x-listbackup-edge': 'proof', accept: '*/*' }), 'proof');
  expect(arrived?.origin).toBe('https://d1.cloudfront.net');
  expect(arrived?.event.requestContext.http.sourceIp).toBe('2001:db8::7');
  // What proves it goes no further.
  expect(arrived?.event.headers).toEqual({ accept: '*/*' });
});

test.for([
  told,
  { ...told, 'x-listbackup-edge': '' },
  { ...told, 'x-listbackup-edge': 'guess' },
  { 'x-listbackup-edge': 'proof' },
])('one that came past it is not let in: %j', (headers) => {
  expect(fromEdge(request(headers), 'proof')).toBeUndefined();
});
