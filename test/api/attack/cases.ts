/** Derives malformed requests from the OpenAPI document. So a new route is attacked without changes to this file. */
import { exampleOf, type Operation, type Parameter, type Schema } from './document.ts';
import type { Sent } from './send.ts';
import { unknownLike, type World } from './world.ts';

/** `field`: the path in `errors[]`, or its beginning. Undefined if the fault is not in a field. */
export type Case = { what: string; sent: Sent; status: number | number[]; field?: string | undefined; allow?: boolean };

const json = { 'content-type': 'application/json' };

/** Returns a valid request of Ada, as far as the document describes it. */
export function validRequest({ method, url, parameters, bodies }: Operation, { ada }: World, body = bodies[0]): Sent {
  const query = new URLSearchParams(
    parameters
      .filter((one) => one.in === 'query' && one.required)
      .map(({ name, schema }): [string, string] => [name, String(exampleOf(schema, ada.byPrefix))]),
  );
  const path = url.replace(/\{\w+\}/, ada.ids[collectionOf(url)] ?? 'none');
  return {
    method,
    path: query.size > 0 ? `${path}?${query}` : path,
    headers: { authorization: `Bearer ${ada.token}`, ...(body ? json : {}) },
    ...(body ? { body: JSON.stringify(exampleOf(body, ada.byPrefix)) } : {}),
  };
}

export function collectionOf(url: string): string {
  return url.slice(1).split('/{')[0] ?? '';
}

function withQuery(sent: Sent, name: string, ...values: string[]): Sent {
  const more = values.map((value) => `${name}=${value}`).join('&');
  return { ...sent, path: `${sent.path}${sent.path.includes('?') ? '&' : '?'}${more}` };
}

function withHeader(sent: Sent, name: string, value: string): Sent {
  return { ...sent, headers: { ...sent.headers, [name]: value } };
}

export function casesFor(operation: Operation, world: World): Case[] {
  const sent = validRequest(operation, world);
  return [
    ...credentials(operation, sent, world),
    ...paths(operation, sent, world),
    ...operation.parameters.filter((one) => one.in === 'query').flatMap((one) => queries(one, sent, world)),
    // GET /health allows unknown parameters.
    ...(operation.url === '/health'
      ? []
      : [{ what: 'an unknown parameter', sent: withQuery(sent, 'colour', 'red'), status: 400, field: 'colour' }]),
    ...operation.parameters.filter((one) => one.in === 'header').flatMap((one) => headers(one, sent, world)),
    ...bodyForms(operation, sent),
    ...operation.bodies.flatMap((body) => bodyFields(body, validRequest(operation, world, body), world)),
  ].map((one) => ({ ...one, what: `${operation.method} ${operation.url}: ${one.what}` }));
}

function credentials({ open }: Operation, sent: Sent, { expired, ada }: World): Case[] {
  if (open) return [];
  const { authorization: _, ...others } = sent.headers ?? {};
  const [head, payload, signature = ''] = ada.token.split('.');
  const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url');
  const bad: { [what: string]: string } = {
    'no scheme': ada.token,
    'another scheme': 'Basic YTpi',
    'an empty token': 'Bearer ',
    'a malformed token': 'Bearer x',
    'a refresh token': `Bearer ${ada.refreshToken}`,
    'a token without its signature': `Bearer ${head}.${payload}.`,
    'a token with a changed signature': `Bearer ${head}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
    'an unsigned token': `Bearer ${none}.${payload}.`,
    ...(expired ? { 'an expired token': `Bearer ${expired}` } : {}),
  };
  return [
    { what: 'no credential', sent: { ...sent, headers: others }, status: 401 },
    {
      what: 'an API key',
      sent: { ...sent, headers: { ...others, 'x-api-key': 'lb_live_x' } },
      status: 401,
    },
    ...Object.entries(bad).map(([what, value]) => ({
      what,
      sent: withHeader(sent, 'authorization', value),
      status: 401,
    })),
  ];
}

function paths({ url, method }: Operation, sent: Sent, { ada }: World): Case[] {
  const parameter = /\{\w+\}/;
  if (!parameter.test(url)) return [];
  const own = ada.ids[collectionOf(url)] ?? '';
  const at = (id: string, what: string, status: number | number[] = 404) => ({
    what,
    sent: { ...sent, path: url.replace(parameter, () => id) },
    status,
  });
  const otherKind = Object.values(ada.ids).find((id) => id !== own) ?? '';
  return [
    at('x', 'an id of the wrong form'),
    at(unknownLike(own), 'an unknown id'),
    at(own.toUpperCase(), 'an id in capitals'),
    at(`${own}x`, 'an id with a suffix'),
    at(otherKind, 'the id of another aggregate'),
    at('x'.repeat(5000), 'a very long id'),
    at('..%2f..%2fsources', 'a path traversal with slashes as an id'),
    at('..%5c..%5csources', 'a path traversal with backslashes as an id'),
    at(`${own}%3Flimit=1`, 'an id with a query in it'),
    at(`${own}%23x`, 'an id with a fragment in it'),
    at('%00', 'NUL as an id'),
    at(encodeURIComponent('💥'), 'an id that is not ASCII'),
    at('__proto__', 'a property name of JavaScript as an id'),
    // A gateway may have replaced the bytes.
    at('%ff', 'an id that is not UTF-8', [400, 404]),
    at('', 'an empty id', method === 'GET' || method === 'POST' || url.includes('}/') ? 404 : [404, 405]),
  ];
}

function queries({ name, schema }: Parameter, sent: Sent, { ada, eve }: World): Case[] {
  const bad = (what: string, value: string): Case => ({
    what: `${what} as ${name}`,
    sent: withQuery(sent, name, value),
    status: 400,
    field: name,
  });
  const right = String(exampleOf(schema, ada.byPrefix));
  const twice = { what: `${name} twice`, sent: withQuery(sent, name, right, right), status: 400, field: name };
  const cases = [twice, bad('NUL', '%00')];
  if (name === 'cursor') {
    const changed = `${ada.cursor.startsWith('A') ? 'B' : 'A'}${ada.cursor.slice(1)}`;
    const foreign = sent.path.startsWith('/activity') ? [] : [bad("another list's cursor", ada.cursor)];
    return [
      ...cases,
      bad('an empty value', ''),
      bad('a malformed cursor', 'x'),
      bad('a changed cursor', changed),
      bad('a shortened cursor', ada.cursor.slice(0, -4)),
      bad("another account's cursor", eve.cursor),
      ...foreign,
    ];
  }
  if (schema.type === 'integer') {
    const { minimum = 0, maximum = 0 } = schema;
    const values = [
      '',
      'x',
      '1.5',
      '1e2',
      '%201',
      '+1',
      '0x1',
      '١',
      `${minimum - 1}`,
      `${maximum + 1}`,
      '9'.repeat(400),
    ];
    cases.push(...values.map((value) => bad(`"${value.slice(0, 8)}"`, encodeURIComponent(decodeURIComponent(value)))));
  }
  if (schema.enum) cases.push(bad('an unknown value', 'nope'), bad('an empty value', ''));
  if (schema.pattern && schema.type === 'string') cases.push(bad('the wrong form', 'x'), bad('an empty value', ''));
  if (schema.maxLength) cases.push(bad('a too long text', 'x'.repeat(schema.maxLength + 1)));
  return cases;
}

function headers({ name }: Parameter, sent: Sent, { eve, ada }: World): Case[] {
  const token = ada.consistencyToken;
  const values: { [name: string]: { [what: string]: string } } = {
    'Idempotency-Key': { 'an empty value': '', '256 characters': 'k'.repeat(256), 'a letter that is not ASCII': 'clé' },
    'If-Match': { 'a text without quotes': 'x', 'an unclosed tag': '"1', 'a bare version': '2' },
    'Consistency-Token': {
      'an empty value': '',
      'a malformed token': 'x',
      'a changed token': `A${token.slice(1)}B`,
      "another account's token": eve.consistencyToken,
    },
    // RFC 9110: a malformed header is ignored.
    'If-None-Match': {},
  };
  const bad = values[name];
  if (!bad) throw new Error(`test/api/attack/cases.ts has no malformed ${name}: add some`);
  return Object.entries(bad).map(([what, value]) => ({
    what: `${what} as ${name}`,
    sent: withHeader(sent, name, value),
    status: 400,
    field: name,
  }));
}

/** Bodies that are malformed as a whole, whatever their fields. */
function bodyForms({ method, bodies }: Operation, sent: Sent): Case[] {
  if (method === 'GET') return [];
  const typed = withHeader(sent, 'content-type', 'application/json');
  const as = (what: string, bytes: string | Buffer, status = 400, field?: string): Case => ({
    what,
    sent: { ...typed, body: bytes },
    status,
    field,
  });
  const { body, ...bare } = typed;
  const valid = String(body ?? '{}');
  const other = (type: string): Case => ({
    what: `a body as ${type}`,
    sent: { ...withHeader(sent, 'content-type', type), body: valid },
    status: 415,
  });
  const needed = bodies.length > 0 && !bodies.some((schema) => (schema.required ?? []).length === 0);
  return [
    ...(needed
      ? [
          { what: 'no body', sent: bare, status: 400, field: 'body' },
          as('an empty body', '', 400, 'body'),
          as('null', 'null', 400, 'body'),
        ]
      : []),
    as('an array', '[]', 400, 'body'),
    as('a text', '"x"', 400, 'body'),
    as('a number', '1', 400, 'body'),
    as('an unknown field', valid.replace('{', '{"colour":"red"').replace('"red""', '"red","'), 400, 'colour'),
    as('the field __proto__', '{"__proto__":{"x":1}}'),
    as('the field constructor', '{"constructor":{"prototype":{"x":1}}}'),
    as('incomplete JSON', '{"name":'),
    as('JSON with comments', '{/* */}'),
    as('single quotes', "{'a':1}"),
    as('bytes that are not UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])),
    as('compressed bytes', Buffer.from('1f8b080000000000000003ab56ca48cdc9c95700070000', 'hex')),
    as('a name with a lone surrogate', '{"\\ud800":1}'),
    as('nested 65 deep', `{"name":${'['.repeat(65)}${']'.repeat(65)}}`, 400, 'name'),
    as('nested 100,000 deep', `{"name":${'['.repeat(100_000)}${']'.repeat(100_000)}}`, 400, 'name'),
    as('more than 1 MiB', `{"name":"${'x'.repeat(1024 * 1024)}"}`, 413),
    other('text/plain'),
    other('application/x-www-form-urlencoded'),
    other('application/json-seq'),
    other('nonsense'),
  ];
}

function bodyFields(schema: Schema, sent: Sent, { ada }: World, above: string[] = []): Case[] {
  const { properties = {}, required = [], additionalProperties } = schema;
  const whole = JSON.parse(String(sent.body)) as { [name: string]: unknown };
  const put = (path: string[], value: unknown): string => {
    const copy = structuredClone(whole);
    let parent = copy;
    for (const name of path.slice(0, -1)) {
      const inner = (parent[name] ?? {}) as typeof parent;
      parent[name] = inner;
      parent = inner;
    }
    const last = path.at(-1) ?? '';
    if (value === undefined) delete parent[last];
    else parent[last] = value;
    return JSON.stringify(copy);
  };
  const cases: Case[] = [];
  if (above.length > 0 && additionalProperties === false) {
    const path = [...above, 'colour'];
    cases.push({
      what: `unknown ${path.join('.')}`,
      sent: { ...sent, body: put(path, 'red') },
      status: 400,
      field: path.join('.'),
    });
  }
  for (const [name, inner] of Object.entries(properties)) {
    const path = [...above, name];
    const field = path.join('.');
    const bad = (what: string, value: unknown) =>
      cases.push({ what: `${what} as ${field}`, sent: { ...sent, body: put(path, value) }, status: 400, field });
    const kinds = [inner.type ?? inner.anyOf?.map(({ type }) => type) ?? []].flat(2);
    if (required.includes(name)) bad('no value', undefined);
    for (const [kind, value] of [
      ['null', null],
      ['string', 'x'],
      ['number', 1.5],
      ['boolean', true],
      ['object', { x: 1 }],
      ['array', [{}]],
    ] as const) {
      const fits =
        kinds.includes(kind) || inner.const !== undefined || (kind === 'object' && inner.properties !== undefined);
      if (!fits || (kind === 'object' && inner.additionalProperties === false))
        bad(kind === 'array' ? 'an array' : `a ${kind}`, value);
    }
    if (kinds.includes('string')) {
      for (const [what, text] of [
        ['NUL', 'a\\u0000b'],
        ['a lone surrogate', '\\ud800'],
        ['a reversed surrogate pair', '\\udc00\\ud800'],
      ] as const) {
        cases.push({
          what: `${what} in ${field}`,
          sent: { ...sent, body: put(path, '@').replace('"@"', `"${text}"`) },
          status: 400,
          field,
        });
      }
      if (inner.enum || inner.const !== undefined || inner.pattern || inner.format) bad('a tab', '\t');
      if (inner.minLength) bad('an empty text', '');
      if (inner.maxLength) bad('a too long text', 'x'.repeat(inner.maxLength + 1));
    }
    if (kinds.includes('integer')) for (const number of [-1, 1e300, 2 ** 53, '1']) bad(JSON.stringify(number), number);
    if (kinds.includes('array')) {
      if (inner.minItems) bad('no items', []);
      if (inner.maxItems)
        bad(
          'too many items',
          Array.from({ length: inner.maxItems + 1 }, () => exampleOf(inner.items ?? {}, ada.byPrefix)),
        );
    }
    const object = [inner, ...(inner.anyOf ?? [])].find((one) => one.properties);
    if (object) {
      const filled = JSON.parse(put(path, exampleOf(object, ada.byPrefix)));
      cases.push(...bodyFields(object, { ...sent, body: JSON.stringify(filled) }, { ada } as World, path));
    }
  }
  return cases;
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY', 'TRACE', 'PROPFIND', 'LOCK'];

/** Requests to each URL with every method that it has no route for. */
export function wrongMethods(operations: readonly Operation[], world: World): Case[] {
  return [...new Set(operations.map(({ url }) => url))].flatMap((url) => {
    const known = operations.filter((one) => one.url === url);
    const allowed = known.map(({ method }) => method);
    if (allowed.includes('GET')) allowed.push('HEAD');
    const { path } = validRequest(known[0] as Operation, world);
    return methods
      .filter((method) => !allowed.includes(method))
      .flatMap((method) => [
        { what: `${method} ${url}`, sent: { method, path }, status: 405, allow: true },
        {
          what: `${method} ${url} with a body`,
          sent: { method, path, headers: { 'content-type': 'text/plain' }, body: 'x' },
          status: 405,
          allow: true,
        },
      ]);
  });
}
