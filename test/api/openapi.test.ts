import { expect, test } from 'vitest';
import { readRoutes } from '../../api/route.ts';
import { routes } from '../../api/routes/index.ts';
import { testApi } from '../support/api.ts';

type Operation = {
  summary?: string;
  operationId: string;
  tags?: string[];
  security: unknown[];
  parameters: { in: string; name: string; required?: boolean }[];
  requestBody?: unknown;
  responses: { [status: string]: { description: string; content?: { [type: string]: unknown } } };
};

async function description() {
  const { app } = await testApi({ routes });
  const answer = await app.inject('/openapi.json');
  return {
    answer,
    document: answer.json() as { openapi: string; paths: { [path: string]: { [method: string]: Operation } } },
  };
}

test('every route is described, with a summary, a tag and its refusals; nothing else is', async () => {
  const { answer, document } = await description();
  const definitions = await readRoutes(routes);
  expect(answer.headers['content-type']).toContain('application/json');
  expect(document.openapi).toBe('3.1.0');
  const described = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`),
  );
  expect(described.sort()).toEqual(definitions.map(({ method, url }) => `${method} ${url}`).sort());
  const ids = new Set<string>();
  for (const definition of definitions) {
    const operation = document.paths[definition.url]?.[definition.method.toLowerCase()];
    if (!operation) throw new Error('not described');
    const at = `${definition.method} ${definition.url}`;
    expect([at, operation.summary, operation.tags?.length]).toEqual([at, definition.summary, definition.tags.length]);
    expect([at, operation.security]).toEqual([at, definition.public ? [] : [{ bearer: [] }]]);
    expect([at, '401' in operation.responses]).toEqual([
      at,
      !definition.public || definition.problems?.some((code) => /token|credentials/.test(code)) === true,
    ]);
    expect([at, Object.keys(operation.responses)]).toEqual([
      at,
      expect.arrayContaining([...Object.keys(definition.answers), '500']),
    ]);
    for (const [status, response] of Object.entries(operation.responses)) {
      expect(response.description).not.toContain('Default');
      if (Number(status) >= 400) expect(Object.keys(response.content ?? {})).toEqual(['application/problem+json']);
    }
    const headers = operation.parameters.filter((parameter) => parameter.in === 'header').map(({ name }) => name);
    expect([at, headers.includes('Idempotency-Key')]).toEqual([at, definition.method === 'POST']);
    expect([at, headers.includes('Consistency-Token')]).toEqual([at, definition.reads !== undefined]);
    expect([at, headers.includes('If-Match')]).toEqual([at, ['PUT', 'DELETE'].includes(definition.method)]);
    const inPath = operation.parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
    expect([at, inPath]).toEqual([at, [...definition.url.matchAll(/{(\w+)}/g)].map(([, name]) => name)]);
    expect([at, operation.requestBody !== undefined]).toEqual([at, definition.body !== undefined]);
    ids.add(operation.operationId);
  }
  expect(ids.size).toBe(definitions.length);
});

test('every reference leads somewhere, and every named schema is used', async () => {
  const { document } = await description();
  const text = JSON.stringify(document);
  const schemas = (document as unknown as { components: { schemas: object } }).components.schemas;
  const referred = new Set([...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name));
  expect([...referred].sort()).toEqual(Object.keys(schemas).sort());
  expect(referred).toContain('Problem');
  expect(text).not.toMatch(/"#\/(?!components\/schemas\/)/);
});

test('what lists take is described as it is parsed', async () => {
  const { document } = await description();
  const parameters = document.paths['/sources']?.get?.parameters ?? [];
  expect(parameters.find(({ name }) => name === 'limit')).toMatchObject({
    in: 'query',
    schema: { type: 'integer', minimum: 1, maximum: 200 },
  });
  expect(parameters.filter(({ required }) => required)).toEqual([]);
});
