import type { APIGatewayProxyEventV2 } from 'aws-lambda';
import { expect, test } from 'vitest';
import { withRawPath } from '../../../infra/lambda/raw-path.ts';

const event = (rawQueryString: string, queryStringParameters?: { [name: string]: string }) =>
  ({
    rawPath: '/data/files',
    rawQueryString,
    ...(queryStringParameters ? { queryStringParameters } : {}),
  }) as APIGatewayProxyEventV2;

test.for([
  ['type=a&type=b', { type: 'a,b' }],
  ['path=a%2Cb', { path: 'a,b' }],
  ['path=a%26b%3Fc', { path: 'a&b?c' }],
] as const)('passes on the query %s as the client wrote it', ([query, joined]) => {
  const sent = withRawPath(event(query, joined));
  expect(sent.rawPath).toBe(`/data/files?${query}`);
  expect(sent.queryStringParameters).toBeUndefined();
});

test.for([
  ['/sources/../jobs', '/%2Fsources%2F..%2Fjobs'],
  ['/sources/x\\..\\..\\jobs', '/%2Fsources%2Fx%255C..%255C..%255Cjobs'],
  ['/sources/%2E%2e/jobs', '/%2Fsources%2F%252E%252e%2Fjobs'],
  ['/sources/x?limit=1', '/sources/x%3Flimit=1'],
  ['/sources/x#y', '/sources/x%23y'],
  ['/sources/..x', '/sources/..x'],
] as const)('encodes the characters of %s that API Gateway decoded', ([rawPath, path]) => {
  expect(withRawPath({ ...event(''), rawPath }).rawPath).toBe(path);
});

test('leaves a path without a query unchanged', () => {
  expect(withRawPath(event('')).rawPath).toBe('/data/files');
});
