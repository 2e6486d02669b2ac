import { connect } from 'node:net';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { ok, type RouteModule, route } from '../../api/route.ts';
import { Problem } from '../../domain/errors.ts';
import { as, testApi } from '../support/api.ts';

const answers = { 200: z.object({ said: z.unknown() }) };
const described = { summary: 'For tests', tags: ['test'] as [string], answers };
const tools: RouteModule = [
  route({
    ...described,
    method: 'POST',
    url: '/say',
    body: z.strictObject({
      text: z.string(),
      count: z.int().optional(),
      flags: z.array(z.boolean()).optional(),
      inner: z.strictObject({ deep: z.string() }).optional(),
      either: z.union([z.strictObject({ a: z.string(), b: z.string() }), z.strictObject({ c: z.int() })]).optional(),
      free: z.json().optional(),
    }),
    handler: async ({ body }) => ok({ said: body }),
  }),
  route({ ...described, method: 'POST', url: '/bare', handler: async ({ body }) => ok({ said: body ?? null }) }),
  route({
    ...described,
    method: 'GET',
    url: '/things/{id}',
    params: z.strictObject({ id: z.string().regex(/^thing_\d+$/) }),
    query: z.strictObject({ asOf: z.iso.datetime().optional(), flag: z.enum(['true', 'false']).optional() }),
    handler: async ({ params, query }) => ok({ said: { ...params, ...query } }),
  }),
  route({
    ...described,
    method: 'GET',
    url: '/fail/{cause}',
    params: z.strictObject({ cause: z.string() }),
    handler: async ({ params: { cause } }) => {
      if (cause === 'problem')
        throw new Problem('run-open', 'Wait for it.', {
          extra: { runId: 'run_1', retryAfter: 1.2, status: 1, code: 'x' },
        });
      if (cause === 'error') throw Object.assign(new Error('cannot open /home/ada/secret.txt'), { code: 'ENOENT' });
      if (cause === 'nested')
        throw new TypeError('is not a function', {
          cause: new SyntaxError('Unexpected token in {"password":"hunter2"}'),
        });
      if (cause === 'thrown') throw 'ada@example.org';
      return { status: 299 as 200, body: { said: 1 } };
    },
  }),
  route({
    ...described,
    answers: { 200: z.object({ said: z.string() }) },
    method: 'GET',
    url: '/misfit',
    handler: async () => ok({ said: 987654321 as unknown as string }),
  }),
];

async function caller() {
  const api = await testApi({ routes: [tools] });
  return { ...api, call: await as(api) };
}
const json = { 'content-type': 'application/json' };

test('sends a problem as an RFC 9457 document whose standard members cannot be replaced', async () => {
  const { call } = await caller();
  const answer = await call({ url: '/fail/problem' });
  expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(answer.headers['retry-after']).toBe('2');
  expect(answer.json()).toEqual({
    type: 'urn:listbackup:problem:run-open',
    title: 'A run of this job is open',
    status: 409,
    detail: 'Wait for it.',
    code: 'run-open',
    runId: 'run_1',
    retryAfter: 1.2,
  });
  const head = await call({ method: 'HEAD', url: '/fail/problem' });
  expect([head.statusCode, head.body]).toEqual([409, '']);
});

test('names each wrong field: unknown, missing, of a wrong type, nested', async () => {
  const { call } = await caller();
  const payload = {
    count: '1',
    flags: [true, 'true'],
    inner: { deep: 'x', extra: 1 },
    either: { c: '1' },
    nobody: 1,
    __proto__: null,
  };
  const answer = await call({ method: 'POST', url: '/say', payload });
  expect(answer.statusCode).toBe(400);
  const problem = answer.json();
  expect(problem.code).toBe('invalid-input');
  expect(problem.errors.map(({ path }: { path: string }) => path).sort()).toEqual([
    'count',
    'either.c',
    'flags.1',
    'inner.extra',
    'nobody',
    'text',
  ]);
  expect(problem.errors).toContainEqual({ path: 'nobody', message: 'This field does not exist.' });
  expect(problem.errors).toContainEqual({ path: 'text', message: 'This is required.' });
  const many = await call({ method: 'POST', url: '/say', payload: { text: '', flags: Array(5000).fill('x') } });
  expect(many.json().errors).toHaveLength(50);
});

test('rejects a body that is not a JSON object', async () => {
  const { call } = await caller();
  for (const payload of [
    '{',
    '{"text":"a"}}',
    "{'text':1}",
    '{"text":"a","__proto__":{"x":1}}',
    '{"text":"a","free":[{"__proto__":{"x":1}}]}',
    '{"text":"a","constructor":{"prototype":1}}',
    '[]',
    '"x"',
    'null',
    '1',
    'NaN',
  ]) {
    const answer = await call({ method: 'POST', url: '/say', headers: json, payload });
    expect([payload, answer.statusCode, answer.json().code]).toEqual([payload, 400, 'invalid-input']);
  }
  for (const bytes of [
    Buffer.from('{"text":"\xff"}', 'latin1'),
    Buffer.from([0x7b, 0xc3, 0x28, 0x7d]),
    Buffer.from('{"text":"a"}', 'utf16le'),
  ]) {
    expect((await call({ method: 'POST', url: '/say', headers: json, payload: bytes })).json().code).toBe(
      'invalid-input',
    );
  }
  const empty = await call({ method: 'POST', url: '/say', headers: json, payload: '' });
  expect(empty.json().errors).toEqual([{ path: 'body', message: 'This is required.' }]);
  const none = await call({ method: 'POST', url: '/say' });
  expect(none.json().errors).toEqual([{ path: 'body', message: 'This is required.' }]);
});

test('rejects NUL and lone surrogates in names and values at any depth, and keeps other text unchanged', async () => {
  const { call } = await caller();
  for (const payload of [
    '{"text":"a\\u0000"}',
    '{"text":"a","free":[{"x":["\\u0000"]}]}',
    '{"text":"a","free":{"\\u0000":1}}',
    '{"text":"\\ud800"}',
    '{"text":"\\udc00x"}',
  ]) {
    expect((await call({ method: 'POST', url: '/say', headers: json, payload })).json().code).toBe('invalid-input');
  }
  const deep = `{"text":"a","free":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  expect((await call({ method: 'POST', url: '/say', headers: json, payload: deep })).json().code).toBe('invalid-input');
  const text = '𝒳 é ✓ 🎉 \u0001 \u2028 </script>';
  expect((await call({ method: 'POST', url: '/say', payload: { text } })).json().said.text).toBe(text);
});

test('answers 415 to another media type and 413 to a large body, and rejects fields on a route without a body', async () => {
  const { call } = await caller();
  for (const type of [
    'text/plain',
    'application/xml',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
    'garbage',
  ]) {
    const answer = await call({
      method: 'POST',
      url: '/say',
      headers: { 'content-type': type },
      payload: '{"text":"a"}',
    });
    expect([type, answer.statusCode, answer.json().code]).toEqual([type, 415, 'unsupported-media-type']);
  }
  expect(
    (
      await call({
        method: 'POST',
        url: '/say',
        headers: { 'content-type': 'application/json; charset=utf-8' },
        payload: '{"text":"a"}',
      })
    ).statusCode,
  ).toBe(200);
  const large = await call({ method: 'POST', url: '/say', payload: { text: 'x'.repeat(1024 * 1024) } });
  expect([large.statusCode, large.json().code]).toEqual([413, 'payload-too-large']);
  expect((await call({ method: 'POST', url: '/bare' })).json()).toEqual({ said: null });
  expect((await call({ method: 'POST', url: '/bare', headers: json, payload: '' })).json()).toEqual({ said: null });
  expect((await call({ method: 'POST', url: '/bare', payload: {} })).statusCode).toBe(200);
  expect((await call({ method: 'POST', url: '/bare', payload: { x: 1 } })).json().errors).toEqual([
    { path: 'x', message: 'This field does not exist.' },
  ]);
});

test('parses query values strictly and rejects repeated and unknown ones', async () => {
  const { call } = await caller();
  expect((await call({ url: '/things/thing_1?asOf=2026-01-01T00:00:00Z&flag=true' })).json().said).toEqual({
    id: 'thing_1',
    asOf: '2026-01-01T00:00:00Z',
    flag: 'true',
  });
  for (const [query, path] of [
    ['asOf=yesterday', 'asOf'],
    ['flag=1', 'flag'],
    ['flag=true&flag=true', 'flag'],
    ['Flag=true', 'Flag'],
    ['__proto__=1', '__proto__'],
    ['flag[]=true', 'flag[]'],
    ['flag=%00', 'flag'],
  ]) {
    const answer = await call({ url: `/things/thing_1?${query}` });
    expect([query, answer.statusCode, answer.json().errors?.map((error: { path: string }) => error.path)]).toEqual([
      query,
      400,
      [path],
    ]);
  }
  expect((await call({ url: '/misfit?x=1' })).statusCode).toBe(400);
});

test('answers 404 to an id of the wrong form', async () => {
  const { call } = await caller();
  for (const id of ['x', 'thing_', 'thing_1%00', '%C3%28', 'a'.repeat(600), '..%2f..%2fetc']) {
    const answer = await call({ url: `/things/${id}` });
    expect([id, [400, 404].includes(answer.statusCode)]).toEqual([id, true]);
    expect(answer.headers['content-type']).toContain('application/problem+json');
    if (answer.statusCode === 400) expect(id).toContain('%C3%28');
  }
  for (const url of ['/%', '/%zz', '/things/%E0%A4%A', '//evil.example/%']) {
    const answer = await call({ url });
    expect(answer.headers['content-type']).toContain('application/problem+json');
    expect(answer.statusCode).toBeLessThan(500);
  }
});

test('answers 500 with the request id to a bug, and keeps input out of the answer and the log', async () => {
  const { call, platform } = await caller();
  for (const url of ['/fail/error', '/fail/nested', '/fail/thrown', '/fail/shape', '/misfit']) {
    const answer = await call({ url });
    expect([url, answer.statusCode]).toEqual([url, 500]);
    const { code, detail, requestId } = answer.json();
    expect(code).toBe('internal');
    expect(detail).toContain(requestId);
    expect(answer.headers['x-request-id']).toBe(requestId);
    const line = platform.lines.at(-1);
    expect(line?.fields?.requestId).toBe(requestId);
    const { error } = line ?? {};
    const logged =
      error instanceof Error
        ? `${error.message} ${error.stack} ${(error.cause as Error)?.message} ${(error.cause as Error)?.stack}`
        : '';
    for (const secret of ['/home/ada', 'ada@example', 'hunter2', 'password', '987654321'])
      expect(`${answer.body} ${logged.replaceAll(/:\d+:\d+/g, '')}`).not.toContain(secret);
  }
  const error = platform.lines.find(({ fields }) => fields?.route === '/fail/:cause')?.error as Error;
  expect(error.message).toBe('ENOENT');
  expect(error.stack).toMatch(/\n\s+at /);
});

test('answers malformed HTTP and large headers with a problem document', async () => {
  const { app } = await caller();
  await app.listen({ port: 0, host: '127.0.0.1' });
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  const send = (text: string) =>
    new Promise<string>((resolve) => {
      let received = '';
      const socket = connect(port, '127.0.0.1', () => socket.write(text));
      socket.on('data', (bytes) => {
        received += bytes;
      });
      socket.on('close', () => resolve(received));
      // The server may reset the connection after its answer, because it did not read everything.
      socket.on('error', () => undefined);
    });
  const problemOf = (answer: string) => ({
    status: Number(answer.split(' ')[1]),
    ...JSON.parse(answer.split('\r\n\r\n')[1] ?? '{}'),
  });
  expect(problemOf(await send('nonsense\r\n\r\n'))).toMatchObject({ status: 400, code: 'invalid-input' });
  expect(
    problemOf(await send(`GET /things/thing_1?cursor=${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`)),
  ).toMatchObject({
    status: 431,
    code: 'invalid-input',
  });
  expect(problemOf(await send(`GET / HTTP/1.1\r\nHost: x\r\nX-Big: ${'x'.repeat(20_000)}\r\n\r\n`))).toMatchObject({
    status: 431,
  });
  expect(problemOf(await send('POST /say HTTP/1.1\r\nHost: x\r\nContent-Length: abc\r\n\r\n'))).toMatchObject({
    status: 400,
  });
});
