import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { expect, test } from 'vitest';
import { asSent } from '../../../infra/lambda/as-sent.ts';

const event = (rawQueryString: string, queryStringParameters?: { [name: string]: string }) =>
  ({ rawPath: '/data/files', rawQueryString, ...(queryStringParameters ? { queryStringParameters } : {}) }) as APIGatewayProxyEventV2;

test.for([
  ['type=a&type=b', { type: 'a,b' }],
  ['path=a%2Cb', { path: 'a,b' }],
  ['path=a%26b%3Fc', { path: 'a&b?c' }],
] as const)('the query %s arrives as it was written', ([query, joined]) => {
  const sent = asSent(event(query, joined));
  expect(sent.rawPath).toBe(`/data/files?${query}`);
  expect(sent.queryStringParameters).toBeUndefined();
});

test('without a query the path is all', () => {
  expect(asSent(event('')).rawPath).toBe('/data/files');
});
