/** What DynamoDB does only under load or among rivals, answered here by a client without a network. */
import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  TransactionCanceledException,
} from '@aws-sdk/client-dynamodb';
import { afterEach, describe, expect, it } from 'vitest';
import { getItems, putItems, transact } from '../../../infra/aws/dynamo.ts';
import { awsRecords } from '../../../infra/aws/records.ts';
import { awsRows } from '../../../infra/aws/rows.ts';
import { upTo } from '../../contract/fresh.ts';

type Call = { RequestItems: { [table: string]: unknown } };

const open: DynamoDBClient[] = [];
afterEach(() => {
  for (const client of open.splice(0)) client.destroy();
});

function answering(answer: (call: Call, turn: number) => object): { client: DynamoDBClient; calls: Call[] } {
  const client = new DynamoDBClient({ region: 'us-east-1' });
  open.push(client);
  const calls: Call[] = [];
  client.middlewareStack.add(
    () => async (call) => {
      calls.push(call.input as Call);
      return { output: { $metadata: {}, ...answer(call.input as Call, calls.length) }, response: {} };
    },
    { step: 'initialize', name: 'answering' },
  );
  return { client, calls };
}

const cancelled = (...codes: string[]) =>
  new TransactionCanceledException({
    message: 'cancelled',
    $metadata: {},
    CancellationReasons: codes.map((Code) => ({ Code })),
  });

describe('batches', () => {
  it('ask again for what was left unread', async () => {
    const { client, calls } = answering(({ RequestItems }) => {
      const { Keys } = RequestItems.t as { Keys: object[] };
      const [done, left] = [Keys.slice(0, 30), Keys.slice(30)];
      return { Responses: { t: done }, UnprocessedKeys: left.length > 0 ? { t: { Keys: left } } : {} };
    });
    const keys = upTo(250).map((n) => ({ pk: { S: String(n) } }));
    expect((await getItems(client, 't', keys)).map((item) => item.pk?.S).sort()).toEqual(upTo(250).map(String).sort());
    expect(calls.length).toBe(4 + 4 + 2);
  });

  it('put again what was left unwritten', async () => {
    const written: unknown[] = [];
    const { client } = answering(({ RequestItems }) => {
      const all = RequestItems.t as { PutRequest: { Item: { pk: { S: string } } } }[];
      written.push(...all.slice(0, 10).map((each) => each.PutRequest.Item.pk.S));
      return { UnprocessedItems: all.length > 10 ? { t: all.slice(10) } : {} };
    });
    await putItems(
      client,
      't',
      upTo(60).map((n) => ({ pk: { S: String(n) } })),
    );
    expect(written.sort()).toEqual(upTo(60).map(String).sort());
  });
});

describe('a transaction', () => {
  it('is tried again while a rival is at work on one of its items', async () => {
    const { client, calls } = answering((_, turn) => {
      if (turn < 4) throw cancelled('None', 'TransactionConflict');
      return {};
    });
    expect(await transact(client, [])).toBe('done');
    expect(calls).toHaveLength(4);
  });

  it('tells the reasons when a condition did not hold, and throws when it can never go', async () => {
    const refused = answering(() => {
      throw cancelled('None', 'ConditionalCheckFailed', 'TransactionConflict');
    });
    expect(await transact(refused.client, [])).toMatchObject([
      { Code: 'None' },
      { Code: 'ConditionalCheckFailed' },
      {},
    ]);
    const invalid = answering(() => {
      throw cancelled('None', 'ValidationError');
    });
    await expect(transact(invalid.client, [])).rejects.toBeInstanceOf(TransactionCanceledException);
    expect(invalid.calls).toHaveLength(1);
  });

  it('of a projection is applied, not stale, after a rival was at work', async () => {
    const { client } = answering((_, turn) => {
      if (turn === 1) throw cancelled('TransactionConflict');
      return {};
    });
    expect(await awsRows(() => client, 'p-').apply('jobs', 'acc/job/1', 1, [])).toBe('applied');
  });
});

describe('a transaction of row changes, refused because of its cursor', () => {
  it.each([
    [1, 'gap'],
    [2, 'gap'],
    [3, 'stale'],
    [4, 'stale'],
  ] as const)('with the cursor at %i, version 3 is a %s', async (cursor, outcome) => {
    const { client, calls } = answering(() => {
      throw new TransactionCanceledException({
        message: 'cancelled',
        $metadata: {},
        CancellationReasons: [{ Code: 'ConditionalCheckFailed', Item: { v: { N: `${cursor}` } } }, { Code: 'None' }],
      });
    });
    const key = { table: 'jobs', pk: 'acc', sk: 'id#job' } as const;
    const rows = awsRows(() => client, 'p-');
    expect(await rows.apply('jobs', 'acc/job/1', 3, [{ op: 'put', ...key, data: {} }])).toBe(outcome);
    expect(calls).toHaveLength(1);
  });
});

describe('a conditional write of its own, refused', () => {
  type Put = { Item?: { [name: string]: object }; ExpressionAttributeValues?: { [name: string]: { B?: Uint8Array } } };
  /** As DynamoDB refuses it, showing what is there: what the same call has put before, when its answer was lost, or a rival's. */
  const refused = (whose: 'own' | 'rival') =>
    answering((call) => {
      const { Item = {}, ExpressionAttributeValues = {} } = call as Put;
      const [token] = Object.values(ExpressionAttributeValues).filter(({ B }) => B);
      const own = { ...Item, v: { N: '1' }, w: Item.w ?? token };
      throw new ConditionalCheckFailedException({
        message: 'refused',
        $metadata: {},
        Item: (whose === 'own' ? own : { ...own, w: { B: new Uint8Array(6) } }) as never,
      });
    }).client;

  it.each([
    ['own', 'applied'],
    ['rival', 'stale'],
  ] as const)('by its %s: a commit without row changes is %s', async (whose, outcome) => {
    expect(await awsRows(() => refused(whose), 'p-').apply('jobs', 'acc/job/1', 1, [])).toBe(outcome);
  });

  it.each([
    ['own', true],
    ['rival', false],
  ] as const)('by its %s: whether a record was put is %s', async (whose, done) => {
    const records = awsRecords(() => refused(whose), 'p-', Date.now);
    expect(await records.write([{ op: 'put', pk: 'a', sk: 'b', data: {}, if: 'absent' }])).toBe(done);
  });
});
