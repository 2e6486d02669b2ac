/** The limits of AWS that both homes keep, so that what works in one works in the other. Sizes in bytes. */
import type { JsonObject, Message } from '../domain/ports.ts';

/** DynamoDB: an item with its keys and field names. https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html */
export const maxItem = 400 * 1024;
/** DynamoDB: partition and sort key. */
export const maxPk = 2048;
export const maxSk = 1024;
/** DynamoDB takes 100 actions in a transaction; one stays free for a projection's cursor. */
export const maxChanges = 99;
/** DynamoDB: all items of a transaction together. */
export const maxTransaction = 4 * 1024 * 1024;
/** DynamoDB: what a query reads for one page. */
export const maxPage = 1024 * 1024;
export const maxQueryLimit = 1000;
export const maxGetMany = 1000;
/** SQS: one message. */
export const maxMessage = 256 * 1024;
export const maxDelaySeconds = 900;
export const maxReceive = 10;
/** SQS, the redrive policy of both queues: received that often without an ack, a message is a dead letter. */
export const maxReceives = 5;
/** API Gateway: one message of a WebSocket. https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html */
export const maxPush = 128 * 1024;
/** S3: a key. */
export const maxBlobKey = 1024;

/** A limit was passed. A bug of ours, not something a user can mend. */
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
  if (value === '') throw new LimitExceeded(`an empty ${name}`);
  if (!value.isWellFormed()) throw new LimitExceeded(`a ${name} that is not well-formed Unicode`);
  if (value.length * 3 > max && Buffer.byteLength(value) > max) throw new LimitExceeded(`a ${name} over ${max} bytes`);
}

/** Throws unless keys and data are within what a DynamoDB item may have; gives its size. */
export function checkItem(item: { pk: string; sk: string; data: JsonObject }): number {
  checkKey(item);
  const size = itemSize(item);
  if (size > maxItem) throw new LimitExceeded(`an item of ${size} bytes: over the limit of 400 KB`);
  return size;
}

/** Throws unless there are 1 to 99 changes (none only when `orNone`), each to another item. */
export function checkChanges(keys: string[], orNone = false): void {
  if (keys.length === 0 && !orNone) throw new LimitExceeded('a write of nothing');
  if (keys.length > maxChanges) throw new LimitExceeded(`${keys.length} changes in one write: over the limit of 99`);
  if (new Set(keys).size < keys.length) throw new LimitExceeded('two changes of the same item in one write');
}

/** Throws when these are more than one call may name. */
export function checkMany(keys: readonly unknown[]): void {
  if (keys.length > maxGetMany) throw new LimitExceeded(`${keys.length} keys at once: over the limit of ${maxGetMany}`);
}

/** Throws when items of these sizes are too much for one transaction. */
export function checkTransaction(sizes: number[]): void {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  if (total > maxTransaction) throw new LimitExceeded(`a write of ${total} bytes: over the limit of 4 MB`);
}

/** As DynamoDB counts an item: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html */
export function itemSize({ pk, sk, data }: { pk: string; sk: string; data: JsonObject }): number {
  return Buffer.byteLength(pk) + Buffer.byteLength(sk) + 'pk'.length + 'sk'.length + 'data'.length + valueSize(data);
}

function valueSize(value: unknown): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  // Two digits a byte and one more: a double has at most 17 of them
  if (typeof value === 'number') return Math.ceil(String(value).length / 2) + 1;
  if (Array.isArray(value)) return value.reduce<number>((sum, each) => sum + 1 + valueSize(each), 3);
  if (typeof value === 'object' && value !== null) {
    let sum = 3;
    for (const [key, each] of Object.entries(value))
      if (each !== undefined) sum += 1 + Buffer.byteLength(key) + valueSize(each);
    return sum;
  }
  return 1;
}

/** Throws unless SQS would take the message; gives it as JSON. */
export function messageText({ body, delaySeconds = 0 }: Message): string {
  const text = JSON.stringify(body);
  const size = Buffer.byteLength(text);
  if (size > maxMessage) throw new LimitExceeded(`a message of ${size} bytes: over the limit of 256 KB`);
  if (!Number.isInteger(delaySeconds) || delaySeconds < 0 || delaySeconds > maxDelaySeconds)
    throw new LimitExceeded(`a delay of ${delaySeconds} seconds: not within 0 to ${maxDelaySeconds}`);
  return text;
}

/** Throws unless a WebSocket of API Gateway would take the text. */
export function checkPush(text: string): void {
  const size = Buffer.byteLength(text);
  if (size > maxPush) throw new LimitExceeded(`a text of ${size} bytes to push: over the limit of 128 KB`);
}

/** Throws unless the key is one both S3 and a file system can hold: 1–1024 bytes, no empty, `.` or `..` part, no control characters. */
export function checkBlobKey(key: string): void {
  if (Buffer.byteLength(key) > maxBlobKey || !key.isWellFormed())
    throw new LimitExceeded('a blob key over 1024 bytes or not well-formed');
  if (key.split('/').some((part) => part === '' || part === '.' || part === '..' || hasControl(part)))
    throw new LimitExceeded('a blob key with an empty part, a dot part or a control character');
}

/** C0 controls, DEL and the backslash, which is a separator on some systems. */
function hasControl(part: string): boolean {
  for (const character of part) if (character < ' ' || character === '\u007f' || character === '\\') return true;
  return false;
}
