/** Behaviour of DynamoDB that needs load or concurrent writers, simulated by a client without a network. */
import {
  ConditionalCheckFailedException,
  DynamoDBClient,
  TransactionCanceledException,
} from '@aws-sdk/client-dynamodb';
import { marshall } from '@aws-sdk/util-dynamodb';
import { afterEach, describe, expect, it } from 'vitest';
import { documentClient } from '../../../infra/aws/clients/dynamo.ts';
import { getItems, putItems, transact } from '../../../infra/aws/dynamo.ts';
import { awsRecords } from '../../../infra/aws/records.ts';
import { awsRows } from '../../../infra/aws/rows.ts';
import { upTo } from '../../contract/fresh.ts';

type Call = { RequestItems: { [table: string]: unknown } };

const opened: DynamoDBClient[] = [];
afterEach(() => {
  for (const client of opened.splice(0)) client.destroy();
});

/** A client that answers each call with the result of `answer`. */
function answering(answer: (call: Call, turn: number) => object) {
  const client = new DynamoDBClient({ region: 'us-east-1' });
  opened.push(client);
  const calls: Call[] = [];
  client.middlewareStack.add(
    () => async (call) => {
      calls.push(call.input as Call);
      return { output: { $metadata: {}, ...answer(call.input as Call, calls.length) }, response: {} };
    },
    { step: 'initialize', name: 'answering' },
  );
  return { documents: documentClient(client), calls };
}

const cancelled = (...codes: string[]) =>
  new TransactionCanceledException({
    message: 'cancelled',
    $metadata: {},
    CancellationReasons: codes.map((Code) => ({ Code })),
  });

describe('batches', () => {
  it('repeat the keys that DynamoDB left unread', async () => {
    const { documents, calls } = answering(({ RequestItems }) => {
      const { Keys } = RequestItems.t as { Keys: object[] };
      const [done, left] = [Keys.slice(0, 30), Keys.slice(30)];
      return { Responses: { t: done }, UnprocessedKeys: left.length > 0 ? { t: { Keys: left } } : {} };
    });
    const keys = upTo(250).map((n) => ({ pk: String(n) }));
    expect((await getItems(documents, 't', keys)).map((item) => item.pk).sort()).toEqual(upTo(250).map(String).sort());
    expect(calls.length).toBe(4 + 4 + 2);
  });

  it('repeat the items that DynamoDB left unwritten', async () => {
    const written: unknown[] = [];
    const { documents } = answering(({ RequestItems }) => {
      const all = RequestItems.t as { PutRequest: { Item: { pk: string } } }[];
      written.push(...all.slice(0, 10).map((request) => request.PutRequest.Item.pk));
      return { UnprocessedItems: all.length > 10 ? { t: all.slice(10) } : {} };
    });
    await putItems(
      documents,
      't',
      upTo(60).map((n) => ({ pk: String(n) })),
    );
    expect(written.sort()).toEqual(upTo(60).map(String).sort());
  });
});

describe('a transaction', () => {
  it('is repeated while another transaction works on one of its items', async () => {
    const { documents, calls } = answering((_, turn) => {
      if (turn < 4) throw cancelled('None', 'TransactionConflict');
      return {};
    });
    expect(await transact(documents, [])).toBe('done');
    expect(calls).toHaveLength(4);
  });

  it('returns the reasons when a condition did not hold, and throws when the request is invalid', async () => {
    const refused = answering(() => {
      throw cancelled('None', 'ConditionalCheckFailed', 'TransactionConflict');
    });
    expect(await transact(refused.documents, [])).toMatchObject([
      { Code: 'None' },
      { Code: 'ConditionalCheckFailed' },
      {},
    ]);
    const invalid = answering(() => {
      throw cancelled('None', 'ValidationError');
    });
    await expect(transact(invalid.documents, [])).rejects.toBeInstanceOf(TransactionCanceledException);
    expect(invalid.calls).toHaveLength(1);
  });

  it('of a projection is applied, not stale, after a conflict with another transaction', async () => {
    const { documents } = answering((_, turn) => {
      if (turn === 1) throw cancelled('TransactionConflict');
      return {};
    });
    expect(await awsRows(() => documents, 'p-').apply('jobs', 'acc/job/1', 1, [])).toBe('applied');
  });
});

describe('a transaction of row changes, refused because of its cursor', () => {
  it.each([
    [1, 'gap'],
    [2, 'gap'],
    [3, 'stale'],
    [4, 'stale'],
  ] as const)('with the cursor at %i, version 3 is a %s', async (cursor, outcome) => {
    const { documents, calls } = answering(() => {
      throw new TransactionCanceledException({
        message: 'cancelled',
        $metadata: {},
        CancellationReasons: [{ Code: 'ConditionalCheckFailed', Item: { v: { N: `${cursor}` } } }, { Code: 'None' }],
      });
    });
    const key = { table: 'jobs', pk: 'acc', sk: 'id#job' } as const;
    const rows = awsRows(() => documents, 'p-');
    expect(await rows.apply('jobs', 'acc/job/1', 3, [{ op: 'put', ...key, data: {} }])).toBe(outcome);
    expect(calls).toHaveLength(1);
  });
});

describe('a refused conditional write', () => {
  /** A client that refuses puts. The stored item is from the lost first attempt (own), or from another writer. */
  const refusing = (whose: 'own' | 'other') =>
    answering((call) => {
      const { Item = {} } = call as { Item?: { [name: string]: unknown } };
      const stored = marshall(whose === 'own' ? Item : { ...Item, w: new Uint8Array(6) });
      throw new ConditionalCheckFailedException({ message: 'refused', $metadata: {}, Item: stored });
    }).documents;

  it.each([
    ['own', 'applied'],
    ['other', 'stale'],
  ] as const)('that meets its %s write: a commit without row changes is %s', async (whose, outcome) => {
    expect(await awsRows(() => refusing(whose), 'p-').apply('jobs', 'acc/job/1', 1, [])).toBe(outcome);
  });

  it.each([
    ['own', true],
    ['other', false],
  ] as const)('that meets its %s write: a put of a record returns %s', async (whose, done) => {
    const records = awsRecords(() => refusing(whose), 'p-', Date.now);
    expect(await records.write([{ op: 'put', pk: 'a', sk: 'b', data: {}, if: 'absent' }])).toBe(done);
  });
});
