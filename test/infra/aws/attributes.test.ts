import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../../domain/ports.ts';
import { dataOf, fieldsOf, fromAttribute, toAttribute } from '../../../infra/aws/attributes.ts';

/** What JSON makes of a value: -0 becomes 0. */
const asJson = (value: Json): Json => JSON.parse(JSON.stringify(value));

function nested(depth: number): Json {
  let value: Json = 'at the bottom';
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { inner: value };
  return value;
}

describe('attributes', () => {
  it('give back any JSON as it was', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        expect(fromAttribute(toAttribute(value as Json))).toEqual(asJson(value as Json));
      }),
    );
  });

  it('give back data field by field, whatever the names', () => {
    const data: JsonObject = { pk: 'a field, no key', expiresAt: 'never', _: 1, '': 2, 'a.b': [3] };
    expect(dataOf({ pk: { S: 'key' }, expiresAt: { N: '1' }, ...fieldsOf(data) })).toEqual(data);
    const hostile: JsonObject = JSON.parse('{"__proto__": {"x": {"__proto__": 1}}}');
    expect(JSON.stringify(dataOf(fieldsOf(hostile)))).toBe(JSON.stringify(hostile));
  });

  it('keep numbers as numbers where DynamoDB can, so that they can be added to', () => {
    for (const value of [0, 1, -1.5, 1e21, 1e-7, 1e125, 2 ** 53 - 1])
      expect(toAttribute(value)).toEqual({ N: String(value) });
  });

  it('are within what DynamoDB takes, for what it could not hold', () => {
    expect(toAttribute(Number.MAX_VALUE)).toHaveProperty('B');
    expect(toAttribute(Number.MIN_VALUE)).toHaveProperty('B');
    expect(toAttribute('bytes \udc80 that are no text')).toHaveProperty('B');
    expect(toAttribute({ '': 1 })).toHaveProperty('B');
    const levels = (attribute: ReturnType<typeof toAttribute>): number => {
      const inner = attribute.M ? Object.values(attribute.M) : (attribute.L ?? []);
      return 1 + Math.max(0, ...inner.map(levels));
    };
    expect(levels(toAttribute(nested(100)))).toBeLessThan(32);
    for (const value of [Number.MAX_VALUE, Number.MIN_VALUE, '\udc80', { '': 1 }, nested(100)]) {
      expect(fromAttribute(toAttribute(value))).toEqual(value);
    }
  });
});
