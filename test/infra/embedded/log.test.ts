import { expect, it } from 'vitest';
import { holdable, readableLine } from '../../../infra/embedded/log.ts';
import { silent } from '../../support/embedded.ts';

const line = (fields: object) => readableLine(JSON.stringify({ time: '2026-01-31T12:00:00.000Z', ...fields }));

it('prints time, level, message and fields of a log line', () => {
  expect(line({ level: 40, msg: 'slow', queue: 'job', pause: 50 })).toMatch(
    /^\d\d:\d\d:\d\d WARN slow \(queue: job, pause: 50\)\n$/,
  );
});

it('prints the message of an error without its stack and without control characters', () => {
  const err = { type: 'Error', message: 'no\u001b[31m\nspace', stack: 'Error: no space\n    at x' };
  expect(line({ level: 50, msg: 'a message failed', err })).toMatch(
    /^\d\d:\d\d:\d\d ERROR a message failed: no \[31m space\n$/,
  );
});

it('keeps entries from hold to release, in order', () => {
  const written: string[] = [];
  const add = (message: string) => void written.push(message);
  const { log, hold, release } = holdable({ ...silent, warn: add, error: add });
  log.warn('first');
  hold();
  log.error('second');
  log.warn('third');
  expect(written).toEqual(['first']);
  release();
  log.warn('fourth');
  expect(written).toEqual(['first', 'second', 'third', 'fourth']);
});
