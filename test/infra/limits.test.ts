import { describe, expect, it } from 'vitest';
import {
  checkBlobKey,
  checkChanges,
  checkItem,
  checkKey,
  checkTransaction,
  itemSize,
  maxItem,
  messageText,
} from '../../infra/limits.ts';

describe('an item', () => {
  it('has the size that DynamoDB counts: names and values in UTF-8, containers with their overhead', () => {
    const empty = itemSize({ pk: 'p', sk: 's', data: {} });
    const sized = (value: Parameters<typeof itemSize>[0]['data'][string]) =>
      itemSize({ pk: 'p', sk: 's', data: { f: value } }) - empty - 2;
    expect(sized('abc')).toBe(3);
    expect(sized('é🎉')).toBe(6);
    expect(sized(true)).toBe(1);
    expect(sized(null)).toBe(1);
    expect(sized(1234)).toBe(3);
    expect(sized([])).toBe(3);
    expect(sized(['a', 'b'])).toBe(3 + 2 * 2);
    expect(sized({ ab: 'c' })).toBe(3 + 1 + 2 + 1);
  });

  it('has at most 400 KB', () => {
    const room = maxItem - itemSize({ pk: 'p', sk: 's', data: { text: '' } });
    expect(checkItem({ pk: 'p', sk: 's', data: { text: 'x'.repeat(room) } })).toBe(maxItem);
    expect(() => checkItem({ pk: 'p', sk: 's', data: { text: 'x'.repeat(room + 1) } })).toThrow(/400 KB/);
  });
});

it('accepts keys of 1 to 2048 and 1 to 1024 bytes of well-formed Unicode', () => {
  checkKey({ pk: 'é'.repeat(1024), sk: '🎉'.repeat(256) });
  for (const key of [
    { pk: '', sk: 's' },
    { pk: 'p', sk: '' },
    { pk: 'é'.repeat(1025), sk: 's' },
    { pk: 'p', sk: '🎉'.repeat(257) },
    { pk: 'p', sk: 'a\udc80' },
  ]) {
    expect(() => checkKey(key)).toThrow();
  }
});

it('accepts writes of 1 to 99 changes of different items, 4 MB together', () => {
  const keys = Array.from({ length: 100 }, (_, i) => `${i}`);
  checkChanges(keys.slice(1));
  checkChanges([], true);
  expect(() => checkChanges(keys)).toThrow(/99/);
  expect(() => checkChanges([])).toThrow(/no changes/);
  expect(() => checkChanges(['a', 'a'])).toThrow(/same/);
  checkTransaction([2 ** 21, 2 ** 21]);
  expect(() => checkTransaction([2 ** 21, 2 ** 21, 1])).toThrow(/4 MB/);
});

it('accepts messages of at most 256 KB as JSON with a delay of at most 900 whole seconds', () => {
  const room = 256 * 1024 - JSON.stringify({ text: '' }).length;
  expect(JSON.parse(messageText({ body: { text: 'x'.repeat(room) } })).text).toHaveLength(room);
  expect(() => messageText({ body: { text: 'x'.repeat(room + 1) } })).toThrow(/256 KB/);
  expect(() => messageText({ body: { text: '"'.repeat(room / 2 + 1) } })).toThrow(/256 KB/);
  messageText({ body: {}, delaySeconds: 900 });
  for (const delaySeconds of [901, -1, 0.5, Number.NaN])
    expect(() => messageText({ body: {}, delaySeconds })).toThrow(/900/);
});

it('accepts only blob keys that both S3 and a file system can hold', () => {
  checkBlobKey('packs/ab/Ü 🎉 (1)');
  for (const key of ['', 'a//b', '/a', 'a/', '.', 'a/..', 'a\nb', 'a\\b', 'é'.repeat(513)])
    expect(() => checkBlobKey(key)).toThrow('The blob key');
});
