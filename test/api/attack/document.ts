/** The parts of the OpenAPI document that attacks use, and valid input for its schemas. */
import assert from 'node:assert/strict';

export type Schema = {
  type?: string | string[];
  properties?: { [name: string]: Schema };
  required?: string[];
  additionalProperties?: boolean | object;
  anyOf?: Schema[];
  oneOf?: Schema[];
  items?: Schema;
  enum?: unknown[];
  const?: unknown;
  pattern?: string;
  format?: string;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  minimum?: number;
  maximum?: number;
};
export type Parameter = { in: 'path' | 'query' | 'header'; name: string; required?: boolean; schema: Schema };
export type Operation = {
  method: string;
  url: string;
  open: boolean;
  parameters: Parameter[];
  /** The alternatives for the body. */
  bodies: Schema[];
};

type Described = {
  security?: unknown[];
  parameters?: Parameter[];
  requestBody?: { content: { 'application/json': { schema: Schema } } };
};
export type Document = { paths: { [url: string]: { [method: string]: Described } } };

export function operationsOf(document: Document): Operation[] {
  return Object.entries(document.paths).flatMap(([url, methods]) =>
    Object.entries(methods).map(([method, { security, parameters = [], requestBody }]) => {
      const schema = requestBody?.content['application/json'].schema;
      const bodies = schema === undefined ? [] : (schema.anyOf ?? schema.oneOf ?? [schema]);
      return { method: method.toUpperCase(), url, open: security?.length === 0, parameters, bodies };
    }),
  );
}

/**
 * Returns a value that fits the schema. An id is one of the caller's own. Throws if it knows no fitting value, so
 * that no route is left out.
 */
export function exampleOf(schema: Schema, own: { [prefix: string]: string }): unknown {
  if (schema.const !== undefined) return schema.const;
  if (schema.enum) return schema.enum[0];
  const [first] = schema.anyOf ?? schema.oneOf ?? [];
  if (first) return exampleOf(first, own);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object') {
    const required = schema.required ?? [];
    return Object.fromEntries(required.map((name) => [name, exampleOf(schema.properties?.[name] ?? {}, own)]));
  }
  if (type === 'array') return [exampleOf(schema.items ?? {}, own)];
  if (type === 'integer' || type === 'number') return schema.minimum ?? 1;
  if (type === 'boolean') return true;
  if (type !== 'string') return {};
  const prefix = /^\^(\w{3})_\[/.exec(schema.pattern ?? '')?.[1];
  const candidates = [
    ...(prefix ? [own[prefix] ?? ''] : []),
    '2026-01-31T12:00:00Z',
    'somebody@example.com',
    'https://example.com',
    '/nowhere',
    'an-example-of-text',
  ];
  const fits = (text: string) =>
    new RegExp(schema.pattern ?? '').test(text) && text.length <= (schema.maxLength ?? 1e6);
  const byFormat = { 'date-time': 1, email: 2, uri: 3 }[schema.format ?? ''];
  const example = byFormat === undefined ? candidates.toReversed().find(fits) : candidates.slice(-5)[byFormat - 1];
  assert(example !== undefined, `test/api/attack/document.ts has no text that fits ${JSON.stringify(schema)}: add one`);
  return example;
}
