/** Limits that ports promise. AWS sets them, and both deployments enforce them. Sizes are in bytes. */
import type { JsonObject, Message } from '../domain/ports.ts';

/**
 * DynamoDB: an item with its keys and field names.
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
 */
export const maxItem = 400 * 1024;
/** DynamoDB: partition and sort key. */
export const maxPk = 2048;
export const maxSk = 1024;
/** DynamoDB takes 100 actions in a transaction. One is reserved for a projection's cursor. */
export const maxChanges = 99;
/** DynamoDB: all items of a transaction together. */
export const maxTransaction = 4 * 1024 * 1024;
/** DynamoDB: the data that a query reads for one page. */
export const maxPage = 1024 * 1024;
export const maxQueryLimit = 1000;
export const maxGetMany = 1000;
/** SQS: one message. */
export const maxMessage = 256 * 1024;
export const maxDelaySeconds = 900;
export const maxReceive = 10;
/**
 * API Gateway: one message of a WebSocket.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
 */
export const maxPush = 128 * 1024;
/** S3: a key. */
export const maxBlobKey = 1024;

/** Code exceeded a limit. It is a bug of the product: a user cannot correct it. */
export class LimitExceeded extends Error {
  constructor(detail: string) {
    super(detail);
    this.name = 'LimitExceeded';
  }
}

/** Keys are UTF-8 of 1 to 2048 (pk) or 1024 (sk) bytes. */
export function checkKey({ pk, sk }: { pk: string; sk: string }): void {
  checkKeyPart('pk', pk, maxPk);
  checkKeyPart('sk', sk, maxSk);
}

function checkKeyPart(name: string, value: string, max: number): void {
  if (value === '') throw new LimitExceeded(`The ${name} is empty. It needs at least one byte.`);
  if (!value.isWellFormed()) throw new LimitExceeded(`The ${name} is not well-formed Unicode.`);
  if (value.length * 3 > max && Buffer.byteLength(value) > max)
    throw new LimitExceeded(`The ${name} has more than ${max} bytes.`);
}

/** Throws when DynamoDB would refuse the item. Returns its size. */
export function checkItem(item: { pk: string; sk: string; data: JsonObject }): number {
  checkKey(item);
  const size = itemSize(item);
  if (size > maxItem) throw new LimitExceeded(`The item has ${size} bytes, and the limit is 400 KB.`);
  return size;
}

/** Throws unless there are 1 to 99 changes, each of another item. With `orNone`, no changes are allowed too. */
export function checkChanges(keys: string[], orNone = false): void {
  if (keys.length === 0 && !orNone) throw new LimitExceeded('The write has no changes.');
  if (keys.length > maxChanges) throw new LimitExceeded(`The write has ${keys.length} changes, and the limit is 99.`);
  if (new Set(keys).size < keys.length) throw new LimitExceeded('The write changes the same item twice.');
}

/** Throws when one call has too many keys. */
export function checkMany(keys: readonly unknown[]): void {
  if (keys.length > maxGetMany)
    throw new LimitExceeded(`The call has ${keys.length} keys, and the limit is ${maxGetMany}.`);
}

/** Throws when items of these sizes do not fit in one transaction. */
export function checkTransaction(sizes: number[]): void {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total > maxTransaction) throw new LimitExceeded(`The write has ${total} bytes, and the limit is 4 MB.`);
}

/**
 * The size of an item as DynamoDB counts it.
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
 */
export function itemSize({ pk, sk, data }: { pk: string; sk: string; data: JsonObject }): number {
  return Buffer.byteLength(pk) + Buffer.byteLength(sk) + 'pk'.length + 'sk'.length + 'data'.length + valueSize(data);
}

function valueSize(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  // Two digits per byte, and one byte more. A double has at most 17 digits.
  if (typeof value === 'number') return Math.ceil(String(value).length / 2) + 1;
  if (Array.isArray(value)) return value.reduce<number>((sum, element) => sum + 1 + valueSize(element), 3);
  if (typeof value === 'object' && value !== null) {
    let sum = 3;
    for (const [key, element] of Object.entries(value))
      if (element !== undefined) sum += 1 + Buffer.byteLength(key) + valueSize(element);
    return sum;
  }
  return 1;
}

/** Throws when SQS would refuse the message. Returns its JSON. */
export function messageText({ body, delaySeconds = 0 }: Message): string {
  const text = JSON.stringify(body);
  const size = Buffer.byteLength(text);
  if (size > maxMessage) throw new LimitExceeded(`The message has ${size} bytes, and the limit is 256 KB.`);
  if (!Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > maxDelaySeconds)
    throw new LimitExceeded(`The message has a delay of ${delaySeconds} seconds. Use 0 to ${maxDelaySeconds}.`);
  return text;
}

/** Throws when API Gateway would refuse the text as a message of a WebSocket. */
export function checkPush(text: string): void {
  const size = Buffer.byteLength(text);
  if (size > maxPush) throw new LimitExceeded(`The text to push has ${size} bytes, and the limit is 128 KB.`);
}

/**
 * Throws unless both S3 and a file system can hold the key: 1 to 1024 bytes, no empty, `.` or `..` part, no control
 * characters.
 */
export function checkBlobKey(key: string): void {
  if (Buffer.byteLength(key) > maxBlobKey || !key.isWellFormed())
    throw new LimitExceeded('The blob key has more than 1024 bytes or is not well-formed Unicode.');
  if (key.split('/').some((part) => part === '' || part === '.' || part === '..' || hasControl(part)))
    throw new LimitExceeded('The blob key has an empty part, a dot part or a control character.');
}

/** True for C0 controls, DEL and the backslash, which is a separator on some systems. */
function hasControl(part: string): boolean {
  for (const character of part) if (character < ' ' || character === '\u007f' || character === '\\') return true;
  return false;
}
