/** The form of commits in DynamoDB, and cheaper reads of them, with a client without a network. */
import { DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { expect, it, onTestFinished } from 'vitest';
import type { StoredCommit } from '../../../domain/ports.ts';
import { bytesIn, type Item } from '../../../infra/aws/attributes.ts';
import { documentClient } from '../../../infra/aws/clients/dynamo.ts';
import { compress, decompress } from '../../../infra/aws/compressed-commit.ts';
import { awsEventStore } from '../../../infra/aws/event-store.ts';
import { upTo } from '../../contract/fresh.ts';

type Request = { Item?: Item; ConsistentRead?: boolean };

/** A table of one stream. Its eventually consistent reads lack the `unseen` versions. */
function table(unseen: (version: number) => boolean) {
  const client = new DynamoDBClient({ region: 'us-east-1' });
  onTestFinished(() => client.destroy());
  const items: Item[] = [];
  const reads: boolean[] = [];
  client.middlewareStack.add(
    () => async (call) => {
      const { Item, ConsistentRead = false } = call.input as Request;
      if (Item) items.push(Item);
      else reads.push(ConsistentRead);
      const Items = items.filter((item) => ConsistentRead || !unseen(Number(item.version)));
      return { output: { $metadata: {}, ...(Item ? {} : { Items }) }, response: {} };
    },
    { step: 'initialize', name: 'answering' },
  );
  return { events: awsEventStore(() => documentClient(client), 'p-'), items, reads };
}

const stream = 'acc_q3c9qb0b72have8y1bwmgmeczm/job/job_r2ch8xf297mxxt4rwf5s1qyf4g';
const at = '2026-11-22T21:29:41.375Z';
const text =
  `{"at":"${at}","actor":{"type":"user","id":"usr_66ppem28424sf2yz4cr1h7qkzw"},"commandId":"0f3c9b12e5a87d46b1c2d3e4f5061728394a5b6c7d8e9f00112233445566778a",` +
  '"correlationId":"req_01jd6xh3qk8e2n4w5r6t7y8u9i","events":[{"id":"evt_j84m57vwdz02zq1tt1636stw54","type":"job.created.v1","data":{"jobId":"job_r2ch8xf297mxxt4rwf5s1qyf4g",' +
  '"sourceId":"src_v5y32c1patxvshghh8hkqkjkrg","name":{"$encrypted":"QWehf7w+79CfQkmU9c2tXNKM0uaAyJB3KiiF4B4V7DTkLk4VubhZnHI=","subject":"acc_q3c9qb0b72have8y1bwmgmeczm"}}}]}';

function commit(version: number, bytes: Uint8Array = Buffer.from(text)): StoredCommit {
  return { stream, version, at, prevHash: '0'.repeat(64), hash: 'f'.repeat(64), body: { bytes } };
}

const textOf = (stored: StoredCommit | undefined) =>
  stored && 'bytes' in stored.body && Buffer.from(stored.body.bytes).toString();

it('stores a commit in half its bytes and returns it byte for byte', async () => {
  const { events, items } = table(() => false);
  await events.append(commit(1));
  expect(items[0]?.b).toBeUndefined();
  expect(bytesIn(items[0] ?? {}, 'z').length).toBeLessThan(text.length / 2);
  expect(textOf((await events.load(stream))[0])).toBe(text);
});

it('stores a commit uncompressed when compression does not make it smaller', async () => {
  const { events, items } = table(() => false);
  await events.append(commit(1, Uint8Array.of(255)));
  expect(items[0]?.b).toEqual(Uint8Array.of(255));
  expect(items[0]?.z).toBeUndefined();
});

it('decompresses what was compressed in 2026', () => {
  expect(Buffer.from(decompress(Buffer.from(compressedIn2026, 'base64'), { stream, at })).toString()).toBe(text);
});

it('returns other bytes for a damaged commit, and the commits beside it unchanged', async () => {
  const { events, items } = table(() => false);
  await events.append(commit(1));
  await events.append(commit(2));
  const whole = bytesIn(items[0] ?? {}, 'z');
  items[0] = { ...items[0], z: whole.map((byte, i) => (i === 9 ? byte ^ 255 : byte)) };
  const [damaged, next] = await events.load(stream);
  expect(textOf(damaged)).not.toBe(text);
  expect(textOf(next)).toBe(text);
});

it.each([
  ['all are visible: one cheap read', () => false, { known: 3 }, [false], [1, 2, 3]],
  [
    'the last is not visible: a second, strong read',
    (version: number) => version === 3,
    { known: 3 },
    [false, true],
    [1, 2, 3],
  ],
  [
    'a middle one is not visible: a second, strong read',
    (version: number) => version === 2,
    { known: 3 },
    [false, true],
    [1, 2, 3],
  ],
  [
    'one is not visible but a later one is: a second, strong read',
    (version: number) => version === 2,
    { known: 2 },
    [false, true],
    [1, 2, 3],
  ],
  [
    'a commit after the known version is not visible: it may be missing',
    (version: number) => version === 3,
    { known: 2 },
    [false],
    [1, 2],
  ],
  ['no version is known: one strong read', (version: number) => version === 3, {}, [true], [1, 2, 3]],
] as const)('with a known version: %s', async (_, unseen, options, strong, found) => {
  const { events, reads } = table(unseen);
  for (const version of upTo(3)) await events.append(commit(version));
  expect((await events.load(stream, options)).map(({ version }) => version)).toEqual(found);
  expect(reads).toEqual(strong);
});

const compressedIn2026 =
  'jdI9T8MwFIXhH8RiX1/72gMDBSGggFQJCmJLHLtOrFT5cJomvx6JhSEKdD7be55/5gsSKNU0rgaNgL2HaUbb8UBtnMdFHC+syTk4mWkqUOXcQiEceskUJ9DCYCZzZanQznjGOAcQAlFKpYh0thKT8apQ5yDaqB0ccZSdSjTpwZQrmSuNtaTTWMwM5panxJVQfRol/h5wEcj16kuqJzkJsLzJ0vnUh0MIOsQ2VrE7rCHefbjgabwic+t3sX43FtLn6/aFDdnN9LQR27K8xw3u6e4tPkfcD3n4Oj48Xi9I/+HnB/s3';

it('decompresses what it compressed', () => {
  const compressed = compress(Buffer.from(text), { stream, at });
  expect(compressed && Buffer.from(decompress(compressed, { stream, at })).toString()).toBe(text);
});
