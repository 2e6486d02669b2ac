/**
 * JSON data as attributes of an item. Each top-level field is an attribute of its own, named `_` + the field, so that
 * writes can add to numbers and conditions can compare fields. The SDK's document client converts the values.
 *
 * The round trip of JSON is exact. A field that DynamoDB or the document client would refuse or change is stored as
 * JSON text in a binary attribute. Nothing else in a data field is binary.
 * Limits: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
 */
import type { Json, JsonObject } from '../../domain/ports.ts';

export type Attribute = Json | Uint8Array;
export type Item = { [name: string]: Attribute };

/** Levels of nesting in one field. DynamoDB takes 32 and counts the item and its lists too. */
const maxDepth = 28;
/** DynamoDB refuses empty names. The document client loses the other two. */
const unstorableNames = ['', '__proto__', 'constructor'];
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** The name of the attribute that holds this field of the data. */
export function fieldName(field: string): string {
  const name = `_${field}`;
  if (unstorableNames.includes(name)) throw new Error(`The field ${field} cannot be stored. Rename it.`);
  return name;
}

export function fieldsOf(data: JsonObject): Item {
  return Object.fromEntries(Object.entries(data).map(([field, value]) => [fieldName(field), toAttribute(value)]));
}

export function dataOf(item: Item): JsonObject {
  const fields = Object.entries(item).filter(([name]) => name.startsWith('_'));
  return Object.fromEntries(fields.map(([name, value]) => [name.slice(1), fromAttribute(value)]));
}

/** Equal values give equal attributes, so that a condition can compare them. */
export function toAttribute(value: Json): Attribute {
  return isStorable(value, 0) ? value : encoder.encode(JSON.stringify(value));
}

export function fromAttribute(attribute: Attribute): Json {
  return attribute instanceof Uint8Array ? JSON.parse(decoder.decode(attribute)) : attribute;
}

function isStorable(value: Json | undefined, depth: number): boolean {
  if (typeof value === 'string') return value.isWellFormed();
  if (typeof value === 'number') return value === 0 || (Math.abs(value) >= 1e-130 && Math.abs(value) < 1e126);
  if (typeof value !== 'object' || value === null) return true;
  if (depth >= maxDepth) return false;
  if (Array.isArray(value)) return value.every((element) => isStorable(element, depth + 1));
  return Object.entries(value).every(
    ([name, element]) => !unstorableNames.includes(name) && name.isWellFormed() && isStorable(element, depth + 1),
  );
}

/** Throws when the item lacks the attribute, or when it is no string. */
export function stringIn(item: Item, name: string): string {
  const value = item[name];
  if (typeof value !== 'string') throw new Error(`An item has no string ${name}.`);
  return value;
}

/** Throws when the item lacks the attribute, or when it is no number. */
export function numberIn(item: Item, name: string): number {
  const value = item[name];
  if (typeof value !== 'number') throw new Error(`An item has no number ${name}.`);
  return value;
}

/** Throws when the item lacks the attribute, or when it is not binary. */
export function bytesIn(item: Item, name: string): Uint8Array {
  const value = item[name];
  if (!(value instanceof Uint8Array)) throw new Error(`An item has no bytes ${name}.`);
  return value;
}
