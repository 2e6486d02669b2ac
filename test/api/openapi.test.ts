import { expect, test } from 'vitest';
import { readRoutes } from '../../api/route.ts';
import { routes } from '../../api/routes/index.ts';
import { as, testApi } from '../support/api.ts';

type Schema = {
  $ref?: string;
  description?: string;
  properties?: { [name: string]: Schema };
  items?: Schema;
  anyOf?: Schema[];
  oneOf?: Schema[];
};
type Body = { schema: Schema; example?: object; examples?: { [name: string]: { value: object } } };
type Content = { [type: string]: Body };
type Operation = {
  summary?: string;
  description?: string;
  operationId: string;
  tags?: string[];
  security: unknown[];
  parameters: { in: string; name: string; required?: boolean; description?: string; example?: string }[];
  requestBody?: { content: Content };
  responses: { [status: string]: { description: string; content?: Content } };
};
type Document = {
  openapi: string;
  paths: { [path: string]: { [method: string]: Operation } };
  components: { schemas: { [name: string]: Schema } };
};

async function readDescription() {
  const { app } = await testApi({ routes });
  const answer = await app.inject('/openapi.json');
  return { answer, document: answer.json() as Document };
}

/** Returns [location, field] of every field in the schema, at any depth. */
function fieldsOf(location: string, schema: Schema): [string, Schema][] {
  const { properties = {}, items, anyOf = [], oneOf = [] } = schema;
  return [
    ...Object.entries(properties).flatMap(([name, field]): [string, Schema][] => [
      [`${location}.${name}`, field],
      ...fieldsOf(`${location}.${name}`, field),
    ]),
    ...(items ? fieldsOf(`${location}[]`, items) : []),
    ...[...anyOf, ...oneOf].flatMap((alternative) => fieldsOf(location, alternative)),
  ];
}

test('describes every route, and nothing else, with its summary, tag and problems', async () => {
  const { answer, document } = await readDescription();
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
    if (!operation) throw new Error('the operation is missing');
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

test('describes every operation, parameter, body, answer and field', async () => {
  const { document } = await readDescription();
  const described: [string, string | undefined][] = [];
  const addFields = (location: string, content: Content = {}) => {
    for (const { schema } of Object.values(content))
      for (const [field, { description, $ref }] of fieldsOf(location, schema))
        described.push([field, description ?? $ref]);
  };
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const location = `${method} ${path}`;
      described.push([location, operation.summary], [location, operation.description]);
      for (const { name, description } of operation.parameters) described.push([`${location} ${name}`, description]);
      addFields(location, operation.requestBody?.content);
      for (const [status, { description, content }] of Object.entries(operation.responses)) {
        described.push([`${location} ${status}`, description]);
        addFields(`${location} ${status}`, content);
      }
    }
  }
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    described.push([name, schema.description]);
    for (const [field, { description, $ref }] of fieldsOf(name, schema)) described.push([field, description ?? $ref]);
  }
  expect(described.filter(([, text]) => !text).map(([location]) => location)).toEqual([]);
});

/** The examples of an operation's JSON body. */
function examplesOf({ requestBody }: Operation): object[] {
  const { example, examples = {} } = requestBody?.content['application/json'] ?? {};
  return [...(example ? [example] : []), ...Object.values(examples).map(({ value }) => value)];
}

/** An app whose connectors may read every folder. */
function apiWithFolders() {
  return testApi({ routes, connectorContext: () => ({ allowHosts: [], folders: { roots: 'any', never: [] } }) });
}

test('gives examples for every body, and the server accepts each of them', async () => {
  const api = await apiWithFolders();
  const call = await as(api);
  const { paths } = (await api.app.inject('/openapi.json')).json() as Document;
  const outcomes: [string, number[]][] = [];
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (!operation.requestBody) continue;
      const id = operation.parameters.find((parameter) => parameter.in === 'path')?.example ?? '';
      const statuses: number[] = [];
      for (const payload of examplesOf(operation)) {
        const request = { method: method.toUpperCase() as 'POST', url: path.replace(/\{\w+\}/, id), payload };
        statuses.push((await call(request)).statusCode);
      }
      outcomes.push([`${method.toUpperCase()} ${path}`, statuses]);
    }
  }
  // Ids and tokens in examples do not exist, so these requests pass the schemas and get a 404 or 401.
  expect(Object.fromEntries(outcomes)).toEqual({
    'POST /auth/register': [201],
    'POST /auth/login': [200],
    'POST /auth/refresh': [401],
    'POST /auth/logout': [401],
    'POST /sources': [201, 201],
    'PUT /sources/{id}': [404],
    'POST /jobs': [404],
    'PUT /jobs/{id}': [404],
    'POST /data/search': [200],
    'POST /data/download': [404, 404],
  });
});

test('creates the job of the example once its source exists', async () => {
  const api = await apiWithFolders();
  const call = await as(api);
  const { paths } = (await api.app.inject('/openapi.json')).json() as Document;
  const [source, job] = ['/sources', '/jobs'].map((path) => {
    const operation = paths[path]?.post;
    return operation ? examplesOf(operation)[0] : undefined;
  });
  const { id } = (await call({ method: 'POST', url: '/sources', payload: source ?? {} })).json();
  expect((await call({ method: 'POST', url: '/jobs', payload: { ...job, sourceId: id } })).statusCode).toBe(201);
});

test('resolves every reference and uses every named schema', async () => {
  const { document } = await readDescription();
  const text = JSON.stringify(document);
  const { schemas } = document.components;
  const referred = new Set([...text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name));
  expect([...referred].sort()).toEqual(Object.keys(schemas).sort());
  expect(referred).toContain('Problem');
  expect(text).not.toMatch(/"#\/(?!components\/schemas\/)/);
});

test('describes the parameters of lists as they are parsed', async () => {
  const { document } = await readDescription();
  const parameters = document.paths['/sources']?.get?.parameters ?? [];
  expect(parameters.find(({ name }) => name === 'limit')).toMatchObject({
    in: 'query',
    schema: { type: 'integer', minimum: 1, maximum: 200 },
  });
  expect(parameters.filter(({ required }) => required)).toEqual([]);
});
