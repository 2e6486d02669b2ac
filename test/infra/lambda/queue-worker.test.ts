import type { Context, SQSEvent } from 'aws-lambda';
import { beforeEach, expect, test } from 'vitest';
import type { JsonObject, Platform } from '../../../domain/ports.ts';
import { pauseSeconds, queueWorker } from '../../../infra/lambda/queue-worker.ts';
import { memoryRecords } from '../../support/memory-ports.ts';

type Deployment = Parameters<typeof queueWorker>[0];

let extended: { receipt: string; seconds: number }[];
let deployment: Deployment;

/** Just enough of a platform for a message with no work left (`fine`) and one that the platform fails on (`broken`). */
beforeEach(() => {
  extended = [];
  const platform: Pick<Platform, 'now' | 'log' | 'queue' | 'records' | 'events'> = {
    now: () => 0,
    log: { info() {}, warn() {}, error() {}, measure() {} },
    queue: {
      extend: async (_queue: string, receipt: string, seconds: number) => void extended.push({ receipt, seconds }),
    } as Platform['queue'],
    records: memoryRecords(),
    events: {
      async getMany(keys: { stream: string }[]) {
        if (keys[0]?.stream === 'broken') throw new Error('no table');
        return [];
      },
      last: async () => undefined,
      load: async () => [],
    } as unknown as Platform['events'],
  };
  deployment = { platform } as unknown as Deployment;
});

function event(messages: { id: string; body: JsonObject; receives: number }[]): SQSEvent {
  const Records = messages.map(({ id, body, receives }) => ({
    messageId: id,
    receiptHandle: `receipt-${id}`,
    body: JSON.stringify(body),
    attributes: { ApproximateReceiveCount: String(receives) },
    eventSource: 'aws:sqs',
  }));
  return { Records } as unknown as SQSEvent;
}

const context = { getRemainingTimeInMillis: () => 900_000 } as unknown as Context;
const fine = { type: 'task', account: 'acc_1', group: 'run_1', name: 'plan', rev: 1 };
const broken = { type: 'run.requested.v1', stream: 'broken', version: 1, index: 0 };

test('reports only the message that failed and makes it visible after a pause', async () => {
  const answer = await queueWorker(deployment, 'job')(
    event([
      { id: 'a', body: fine, receives: 1 },
      { id: 'b', body: broken, receives: 2 },
    ]),
    context,
  );
  expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: 'b' }] });
  expect(extended).toEqual([{ receipt: 'receipt-b', seconds: pauseSeconds(2) }]);
});

test('does not fail the invocation when all messages fail', async () => {
  const answer = await queueWorker(deployment, 'job')(event([{ id: 'b', body: broken, receives: 1 }]), context);
  expect(answer).toEqual({ batchItemFailures: [{ itemIdentifier: 'b' }] });
});

test('does not report a failure again with the next batch', async () => {
  const work = queueWorker(deployment, 'job');
  await work(event([{ id: 'b', body: broken, receives: 1 }]), context);
  expect(await work(event([{ id: 'a', body: fine, receives: 1 }]), context)).toEqual({ batchItemFailures: [] });
});

test('lengthens the pauses up to the maximum visibility timeout of SQS', () => {
  const pauses = [1, 2, 3, 4, 5, 50].map(pauseSeconds);
  expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
  expect(pauses[0]).toBeGreaterThan(0);
  expect(pauses.at(-1)).toBeLessThanOrEqual(43_200);
});
