import { expect, test } from 'vitest';
import * as z from 'zod';
import { requireVersion } from '../../activity/store.ts';
import { etagOf, matchedVersions } from '../../api/etag.ts';
import { noContent, ok, type RouteModule, route } from '../../api/route.ts';
import { as, testApi } from '../support/api.ts';

/** Routes of a resource with a version. */
function thing() {
  const state = { version: 1, name: 'first' };
  const described = { summary: 'Thing', tags: ['test'] as [string], url: '/thing' as const };
  const answers = { 200: z.object({ name: z.string() }) };
  const routes: RouteModule = [
    route({
      ...described,
      method: 'GET',
      answers,
      handler: async () => ok({ name: state.name }, { version: state.version }),
    }),
    route({
      ...described,
      method: 'PUT',
      body: z.strictObject({ name: z.string() }),
      answers,
      handler: async ({ body, ifMatch }) => {
        requireVersion(ifMatch, state.version);
        state.name = body.name;
        state.version += 1;
        return ok({ name: state.name }, { version: state.version });
      },
    }),
    route({
      ...described,
      method: 'DELETE',
      answers: { 204: z.undefined() },
      handler: async ({ ifMatch }) => {
        requireVersion(ifMatch, state.version);
        return noContent();
      },
    }),
  ];
  return routes;
}

test('answers 304 without a body to an unchanged resource, and 200 with it after a change', async () => {
  const api = await testApi({ routes: [thing()] });
  const call = await as(api);
  const first = await call({ url: '/thing' });
  const etag = String(first.headers.etag);
  expect(etag).toMatch(/^"1-[\w-]{22}"$/);
  for (const header of [etag, `W/${etag}`, `"x", ${etag}`, '*']) {
    const same = await call({ url: '/thing', headers: { 'if-none-match': header } });
    expect([header, same.statusCode, same.body, same.headers.etag]).toEqual([header, 304, '', etag]);
  }
  expect((await call({ method: 'HEAD', url: '/thing', headers: { 'if-none-match': etag } })).statusCode).toBe(304);
  expect((await call({ method: 'HEAD', url: '/thing' })).headers.etag).toBe(etag);
  const put = await call({ method: 'PUT', url: '/thing', payload: { name: 'second' } });
  const changed = await call({ url: '/thing', headers: { 'if-none-match': etag } });
  expect([changed.statusCode, changed.json()]).toEqual([200, { name: 'second' }]);
  expect(changed.headers.etag).toBe(put.headers.etag);
});

test('answers 412 to a change or deletion with an outdated, weak or foreign tag', async () => {
  const api = await testApi({ routes: [thing()] });
  const call = await as(api);
  const etag = String((await call({ url: '/thing' })).headers.etag);
  const put = (tag: string, name: string) =>
    call({ method: 'PUT', url: '/thing', headers: { 'if-match': tag }, payload: { name } });
  const second = await put(etag, 'second');
  expect(second.statusCode).toBe(200);
  for (const tag of [etag, `W/${second.headers.etag}`, '""', '"2"', '"02-aaaaaaaaaaaaaaaaaaaaaa"']) {
    const answer = await put(tag, 'lost');
    expect([tag, answer.statusCode, answer.json().code]).toEqual([tag, 412, 'precondition-failed']);
    expect((await call({ method: 'DELETE', url: '/thing', headers: { 'if-match': tag } })).statusCode).toBe(412);
  }
  for (const malformed of ['x', '2', '"', '"2", x']) {
    const answer = await put(malformed, 'lost');
    expect([malformed, answer.statusCode, answer.json().errors?.[0].path]).toEqual([malformed, 400, 'If-Match']);
  }
  expect((await put(`${etag}, ${second.headers.etag}`, 'third')).statusCode).toBe(200);
  expect((await put('*', 'fourth')).statusCode).toBe(200);
  expect((await call({ method: 'DELETE', url: '/thing' })).statusCode).toBe(204);
});

test('makes different tags for different bodies and versions, and finds no version in a tag without one', () => {
  expect(new Set([etagOf('a'), etagOf('b'), etagOf('a', 1), etagOf('a', 2), etagOf('b', 1)]).size).toBe(5);
  expect(matchedVersions(undefined)).toBeUndefined();
  expect(matchedVersions(etagOf('a'))).toEqual([]);
  expect(matchedVersions(`${etagOf('a', 3)},${etagOf('b', 12)}`)).toEqual([3, 12]);
});
