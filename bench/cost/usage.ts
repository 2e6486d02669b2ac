/**
 * Counts the billed usage of SDK clients. Write units are those that DynamoDB reports. Read units are computed from the
 * sizes of the items, because the emulator counts every read as one unit.
 * https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
 */
import { ConditionalCheckFailedException, TransactionCanceledException } from '@aws-sdk/client-dynamodb';
import type { Attribute, Item } from '../../infra/aws/attributes.ts';
import type { AwsClients } from '../../infra/aws/clients.ts';
import { itemOf } from '../../infra/aws/dynamo.ts';

/** Amount by kind: `WRU activity`, `RRU activity`, `S3 write`, `S3 read`, `SQS`, `EventBridge`, `KMS` … */
export type Usage = ReadonlyMap<string, number>;

export type Counter = {
  /** The usage during the work. */
  during<T>(work: () => Promise<T>): Promise<{ result: T; usage: Usage }>;
  /** Adds usage that the clients do not see. */
  add(kind: string, amount: number): void;
};

/** Counts the requests of these clients. Reads must use the document client. `prefix` begins the names of tables. */
export function countUsage(clients: AwsClients, prefix: string): Counter {
  const counts = new Map<string, number>();
  const add = (kind: string, amount: number) => void counts.set(kind, (counts.get(kind) ?? 0) + amount);
  const table = (name: string | undefined) => (name ?? '').slice(prefix.length);

  clients.dynamo().middlewareStack.add(
    (next, { commandName = '' }) =>
      async (args) => {
        const input = args.input as Asked;
        try {
          const answer = await next({
            ...args,
            input: { ...input, ReturnConsumedCapacity: 'TOTAL' } as typeof args.input,
          });
          countDynamo(commandName, input, answer.output as Answered, (kind, name, units) =>
            add(`${kind} ${table(name)}`, units),
          );
          return answer;
        } catch (error) {
          for (const [name, units] of refused(input, error)) add(`WRU ${table(name)}`, units);
          throw error;
        }
      },
    { step: 'initialize', name: 'usage' },
  );
  const each = (client: Countable, kind: (command: string, input: unknown) => [string, number] | undefined) =>
    client.middlewareStack.add(
      (next: (args: { input: object }) => Promise<object>, context: { commandName?: string }) =>
        (args: { input: object }) => {
          const counted = kind(context.commandName ?? '', args.input);
          if (counted) add(...counted);
          return next(args);
        },
      { step: 'initialize', name: 'usage' },
    );
  each(clients.s3() as unknown as Countable, (command) => s3Class(command));
  each(clients.sqs() as unknown as Countable, (_, input) => ['SQS', quarters(input)]);
  each(clients.events() as unknown as Countable, (_, input) => [
    'EventBridge',
    (input as { Entries?: unknown[] }).Entries?.reduce<number>((sum, entry) => sum + quarters(entry), 0) ?? 0,
  ]);
  each(clients.kms() as unknown as Countable, () => ['KMS', 1]);
  each(clients.cognito() as unknown as Countable, () => ['Cognito', 1]);
  each(clients.ssm() as unknown as Countable, () => ['SSM', 1]);

  return {
    add,
    async during(work) {
      const before = new Map(counts);
      const result = await work();
      const usage = new Map(
        [...counts].map(([kind, count]) => [kind, count - (before.get(kind) ?? 0)] as const).filter(([, n]) => n > 0),
      );
      return { result, usage };
    },
  };
}

/** Units of all tables together, `WRU` or `RRU`. */
export function unitsOf(usage: Usage, kind: 'WRU' | 'RRU'): number {
  return [...usage].reduce((sum, [name, count]) => sum + (name.startsWith(kind) ? count : 0), 0);
}

export function plus(...usages: Usage[]): Usage {
  const sum = new Map<string, number>();
  for (const [kind, count] of usages.flatMap((usage) => [...usage])) sum.set(kind, (sum.get(kind) ?? 0) + count);
  return sum;
}

export function times(usage: Usage, factor: number): Usage {
  return new Map([...usage].map(([kind, count]) => [kind, count * factor]));
}

type Countable = { middlewareStack: { add(middleware: unknown, options: { step: 'initialize'; name: string }): void } };
type Capacity = { TableName?: string; CapacityUnits?: number };
type Asked = {
  TableName?: string;
  ConsistentRead?: boolean;
  RequestItems?: { [table: string]: { Keys?: Item[]; ConsistentRead?: boolean } };
  TransactItems?: { [action: string]: { TableName?: string } | undefined }[];
};
type Answered = {
  Item?: Item;
  Items?: Item[];
  Responses?: { [table: string]: Item[] };
  UnprocessedKeys?: { [table: string]: { Keys?: Item[] } };
  ConsumedCapacity?: Capacity | Capacity[];
};
type Count = (kind: 'WRU' | 'RRU', table: string | undefined, units: number) => void;

function countDynamo(command: string, input: Asked, output: Answered, count: Count): void {
  const reads = (items: Item[], consistent: boolean | undefined) =>
    readUnits(
      items.reduce((sum, item) => sum + itemBytes(item), 0),
      consistent,
    );
  switch (command) {
    case 'GetItemCommand':
      count('RRU', input.TableName, reads(output.Item ? [output.Item] : [], input.ConsistentRead));
      break;
    // The sum of a page is rounded up once
    case 'QueryCommand':
    case 'ScanCommand':
      count('RRU', input.TableName, reads(output.Items ?? [], input.ConsistentRead));
      break;
    case 'BatchGetItemCommand':
      for (const [table, { Keys = [], ConsistentRead }] of Object.entries(input.RequestItems ?? {})) {
        const found = output.Responses?.[table] ?? [];
        const missing = Keys.length - found.length - (output.UnprocessedKeys?.[table]?.Keys?.length ?? 0);
        for (const item of found) count('RRU', table, reads([item], ConsistentRead));
        count('RRU', table, missing * reads([], ConsistentRead));
      }
      break;
    default:
      for (const { TableName, CapacityUnits = 0 } of [output.ConsumedCapacity ?? []].flat())
        count('WRU', TableName, CapacityUnits);
  }
}

/** Failed conditional writes and cancelled transactions are billed like successful ones. */
function refused(input: Asked, error: unknown): [table: string | undefined, units: number][] {
  if (error instanceof ConditionalCheckFailedException)
    return [[input.TableName, writeUnits(itemBytes(itemOf(error) ?? {}))]];
  if (!(error instanceof TransactionCanceledException)) return [];
  return (input.TransactItems ?? []).map((item) => [Object.values(item)[0]?.TableName, 2]);
}

/** One unit per 4 KB, or half a unit for an eventually consistent read. */
function readUnits(bytes: number, consistent = false): number {
  return Math.max(1, Math.ceil(bytes / 4096)) * (consistent ? 1 : 0.5);
}

function writeUnits(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / 1024));
}

/** https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html */
export function itemBytes(item: Item): number {
  return Object.entries(item).reduce((sum, [name, value]) => sum + Buffer.byteLength(name) + valueBytes(value), 0);
}

function valueBytes(value: Attribute): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  // About one byte per two digits, and one byte more.
  if (typeof value === 'number') return Math.ceil(String(value).replace(/^-?0*\.?0*|\.|e.*$/gi, '').length / 2) + 1;
  if (typeof value === 'boolean' || value === null) return 1;
  if (value instanceof Uint8Array) return value.length;
  if (Array.isArray(value)) return value.reduce<number>((sum, element) => sum + 1 + valueBytes(element), 3);
  return Object.entries(value).reduce(
    (sum, [name, element]) => sum + 1 + Buffer.byteLength(name) + valueBytes(element),
    3,
  );
}

/** Each 64 KB of a message or an event is billed as one request. */
function quarters(payload: unknown): number {
  return Math.max(1, Math.ceil(Buffer.byteLength(JSON.stringify(payload)) / 65_536));
}

const s3Writes = [
  'PutObject',
  'CreateMultipartUpload',
  'UploadPart',
  'CompleteMultipartUpload',
  'ListObjectsV2',
  'ListObjectVersions',
];

/** Deletes are free. https://aws.amazon.com/s3/pricing/ */
function s3Class(command: string): [string, number] | undefined {
  const name = command.replace(/Command$/, '');
  if (name.startsWith('Delete') || name.startsWith('Abort')) return undefined;
  return [s3Writes.includes(name) ? 'S3 write' : 'S3 read', 1];
}
