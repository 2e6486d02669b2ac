/**
 * JSON as DynamoDB attributes. Each top-level field of `data` is an attribute of its own (`_` + its name), so that numbers can be
 * added to and fields compared. What DynamoDB cannot hold exactly (numbers beyond 1E±125, strings that are not well-formed Unicode,
 * deep nesting, empty names) rests as its JSON text in a binary attribute, which nothing else uses.
 * Limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
 */
import type { AttributeValue } from '@aws-sdk/client-dynamodb';
import type { Json, JsonObject } from '../../domain/ports.ts';

export type Item = { [name: string]: AttributeValue };

/** The item's map is level 1 and the limit is 32; attributes inside a list element count too. */
const deepest = 28;
const utf8 = new TextEncoder();
const text = new TextDecoder();

/** The attribute that holds that field of data. */
export function fieldName(field: string): string {
  return `_${field}`;
}

export function fieldsOf(data: JsonObject): Item {
  return Object.fromEntries(Object.entries(data).map(([field, value]) => [fieldName(field), toAttribute(value)]));
}

export function dataOf(item: Item): JsonObject {
  const fields = Object.entries(item).filter(([name]) => name.startsWith('_'));
  return Object.fromEntries(fields.map(([name, value]) => [name.slice(1), fromAttribute(value)]));
}

export function toAttribute(value: Json, depth = 0): AttributeValue {
  if (value === null) return { NULL: true };
  if (typeof value === 'boolean') return { BOOL: value };
  if (typeof value === 'string') return value.isWellFormed() ? { S: value } : asText(value);
  if (typeof value === 'number') return inRange(value) ? { N: String(value) } : asText(value);
  if (depth >= deepest) return asText(value);
  if (Array.isArray(value)) return { L: value.map((each) => toAttribute(each, depth + 1)) };
  const entries = Object.entries(value);
  if (entries.some(([name]) => name === '' || !name.isWellFormed())) return asText(value);
  return { M: Object.fromEntries(entries.map(([name, each]) => [name, toAttribute(each, depth + 1)])) };
}

export function fromAttribute(attribute: AttributeValue): Json {
  if (attribute.NULL !== undefined) return null;
  if (attribute.BOOL !== undefined) return attribute.BOOL;
  if (attribute.S !== undefined) return attribute.S;
  if (attribute.N !== undefined) return Number(attribute.N);
  if (attribute.B !== undefined) return JSON.parse(text.decode(attribute.B));
  if (attribute.L !== undefined) return attribute.L.map(fromAttribute);
  if (attribute.M !== undefined)
    return Object.fromEntries(Object.entries(attribute.M).map(([name, each]) => [name, fromAttribute(each)]));
  throw new Error(`not an attribute of ours: ${Object.keys(attribute).join()}`);
}

function asText(value: Json): AttributeValue {
  return { B: utf8.encode(JSON.stringify(value)) };
}

function inRange(value: number): boolean {
  const size = Math.abs(value);
  return value === 0 || (size >= 1e-130 && size < 1e126);
}
