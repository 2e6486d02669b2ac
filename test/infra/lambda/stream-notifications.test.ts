import type { DynamoDBRecord } from 'aws-lambda';
import { expect, test } from 'vitest';
import type { Measures } from '../../../domain/ports.ts';
import { notificationsOf } from '../../../infra/lambda/stream-notifications.ts';

const keys = { stream: { S: 'acc_1/job/job_1' }, version: { N: '3' } };
const record = (eventName: DynamoDBRecord['eventName']): DynamoDBRecord => ({ eventName, dynamodb: { Keys: keys } });

function read(records: DynamoDBRecord[]) {
  const errors: string[] = [];
  const measured: Measures[] = [];
  const log = {
    info() {},
    warn() {},
    error: (message: string) => void errors.push(message),
    measure: (numbers: Measures) => void measured.push(numbers),
  };
  return { notifications: notificationsOf({ Records: records }, log), errors, measured };
}

test('turns a record into the stream and version of its keys', () => {
  expect(read([record('INSERT')])).toEqual({
    notifications: [{ stream: 'acc_1/job/job_1', version: 3 }],
    errors: [],
    measured: [],
  });
});

test.for(['MODIFY', 'REMOVE'] as const)(
  'logs and measures a %s of the activity and returns its notification',
  (eventName) => {
    const { notifications, errors, measured } = read([record(eventName)]);
    expect(errors).toEqual([expect.stringContaining('A stored commit was changed.')]);
    expect(measured).toEqual([{ ActivityChanged: 1 }]);
    expect(notifications).toHaveLength(1);
  },
);

test('throws for a record without keys', () => {
  expect(() => read([{ eventName: 'INSERT', dynamodb: {} }])).toThrow('lacks its keys');
});
