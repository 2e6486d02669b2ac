/** The exact round trip of JSON through attributes and the document client's marshalling. */
import { marshall, unmarshall } from '@aws-sdk/util-dynamodb';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../../../domain/ports.ts';
import {
  type Attribute,
  dataOf,
  fieldsOf,
  fromAttribute,
  type Item,
  toAttribute,
} from '../../../infra/aws/attributes.ts';

/** JSON has no -0. */
const asJson = (value: Json): Json => JSON.parse(JSON.stringify(value));

/** What the document client sends to DynamoDB. */
const sent = (item: Item) => marshall(item, { removeUndefinedValues: true, allowImpreciseNumbers: true });
/** An item after the way to DynamoDB and back. */
const stored = (item: Item): Item => unmarshall(sent(item), { wrapNumbers: Number });
const roundTrip = (value: Json): Json => fromAttribute(stored({ a: toAttribute(value) }).a as Attribute);

function nested(depth: number): Json {
  let value: Json = 'at the bottom';
  for (let i = 0; i < depth; i++) value = i % 2 ? [value] : { inner: value };
  return value;
}

describe('attributes', () => {
  it('return any JSON unchanged', () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        expect(roundTrip(value as Json)).toEqual(asJson(value as Json));
      }),
    );
  });

  it('return data field by field, whatever the names', () => {
    const data: JsonObject = { pk: 'a field, no key', expiresAt: 'never', _: 1, '': 2, 'a.b': [3] };
    expect(dataOf(stored({ pk: 'key', expiresAt: 1, ...fieldsOf(data) }))).toEqual(data);
    const hostile: JsonObject = JSON.parse('{"__proto__": {"x": {"__proto__": 1}}, "constructor": {"constructor": 2}}');
    expect(JSON.stringify(dataOf(stored(fieldsOf(hostile))))).toBe(JSON.stringify(hostile));
    expect(() => fieldsOf({ _proto__: 1 })).toThrow('cannot be stored');
  });

  it('keep numbers as numbers where DynamoDB can, so that writes can add to them', () => {
    for (const value of [0, 1, -1.5, 1e21, 1e-7, 1e125, 2 ** 53 - 1, 2 ** 60])
      expect(sent({ n: toAttribute(value) })).toEqual({ n: { N: String(value) } });
  });

  it('store as text what DynamoDB cannot hold', () => {
    for (const value of [Number.MAX_VALUE, Number.MIN_VALUE, 'bytes \udc80 that are no text', { '': 1 }])
      expect(sent({ a: toAttribute(value) }).a).toHaveProperty('B');
    const levels = (attribute: object): number => {
      const inner = 'M' in attribute ? attribute.M : 'L' in attribute ? attribute.L : {};
      return 1 + Math.max(0, ...Object.values(inner as object).map(levels));
    };
    for (const depth of [27, 28, 29, 100])
      expect(levels({ M: sent({ a: toAttribute(nested(depth)) }) })).toBeLessThanOrEqual(32);
    for (const value of [Number.MAX_VALUE, Number.MIN_VALUE, '\udc80', { '': 1 }, nested(28), nested(100)])
      expect(roundTrip(value)).toEqual(value);
  });
});
