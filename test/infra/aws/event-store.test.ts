/** How commits rest in DynamoDB, and how they are read for less; answered by a client without a network. */
import { type AttributeValue, DynamoDBClient } from '@aws-sdk/client-dynamodb';
import { expect, it, onTestFinished } from 'vitest';
import type { StoredCommit } from '../../../domain/ports.ts';
import { compress, decompress } from '../../../infra/aws/compressed-commit.ts';
import { awsEventStore } from '../../../infra/aws/event-store.ts';
import { upTo } from '../../contract/fresh.ts';

type Item = { [name: string]: AttributeValue };
type Asked = { Item?: Item; ConsistentRead?: boolean };

/** A table of one stream whose eventually consistent reads do not know some versions yet. */
function table(unseen: (version: number) => boolean) {
  const client = new DynamoDBClient({ region: 'us-east-1' });
  onTestFinished(() => client.destroy());
  const items: Item[] = [];
  const reads: boolean[] = [];
  client.middlewareStack.add(
    () => async (call) => {
      const { Item, ConsistentRead = false } = call.input as Asked;
      if (Item) items.push(Item);
      else reads.push(ConsistentRead);
      const Items = items.filter((item) => ConsistentRead || !unseen(Number(item.version?.N)));
      return { output: { $metadata: {}, ...(Item ? {} : { Items }) }, response: {} };
    },
    { step: 'initialize', name: 'answering' },
  );
  return { events: awsEventStore(() => client, 'p-'), items, reads };
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

const bytesOf = (each: StoredCommit | undefined) =>
  each && 'bytes' in each.body && Buffer.from(each.body.bytes).toString();

it('a commit rests in half its bytes, and comes back byte for byte', async () => {
  const { events, items } = table(() => false);
  await events.append(commit(1));
  expect(items[0]?.b).toBeUndefined();
  expect(items[0]?.z?.B?.length).toBeLessThan(text.length / 2);
  expect(bytesOf((await events.load(stream))[0])).toBe(text);
});

it('what would not be smaller rests as it is', async () => {
  const { events, items } = table(() => false);
  await events.append(commit(1, Uint8Array.of(255)));
  expect(items[0]?.b?.B).toEqual(Uint8Array.of(255));
  expect(items[0]?.z).toBeUndefined();
});

it('what was squeezed in 2026 still opens', () => {
  expect(Buffer.from(decompress(Buffer.from(compressedIn2026, 'base64'), { stream, at })).toString()).toBe(text);
});

it('what is damaged comes out as other bytes, for its hash to tell, and does not stop those beside it', async () => {
  const { events, items } = table(() => false);
  await events.append(commit(1));
  await events.append(commit(2));
  const whole = items[0]?.z?.B ?? new Uint8Array();
  items[0] = { ...items[0], z: { B: whole.map((byte, i) => (i === 9 ? byte ^ 255 : byte)) } };
  const [damaged, next] = await events.load(stream);
  expect(bytesOf(damaged)).not.toBe(text);
  expect(bytesOf(next)).toBe(text);
});

it.each([
  ['all are seen: one cheap read', () => false, { known: 3 }, [false], [1, 2, 3]],
  ['the last is not seen: read again', (version: number) => version === 3, { known: 3 }, [false, true], [1, 2, 3]],
  ['one between is not seen: read again', (version: number) => version === 2, { known: 3 }, [false, true], [1, 2, 3]],
  [
    'one is not seen, and a later one is: read again',
    (version: number) => version === 2,
    { known: 2 },
    [false, true],
    [1, 2, 3],
  ],
  [
    'what was not known is not seen: that may be missing',
    (version: number) => version === 3,
    { known: 2 },
    [false],
    [1, 2],
  ],
  ['nothing is known: one strong read', (version: number) => version === 3, {}, [true], [1, 2, 3]],
] as const)('of what is known to be there, %s', async (_, unseen, options, asked, found) => {
  const { events, reads } = table(unseen);
  for (const version of upTo(3)) await events.append(commit(version));
  expect((await events.load(stream, options)).map(({ version }) => version)).toEqual(found);
  expect(reads).toEqual(asked);
});

const compressedIn2026 =
  'jdI9T8MwFIXhH8RiX1/72gMDBSGggFQJCmJLHLtOrFT5cJomvx6JhSEKdD7be55/5gsSKNU0rgaNgL2HaUbb8UBtnMdFHC+syTk4mWkqUOXcQiEceskUJ9DCYCZzZanQznjGOAcQAlFKpYh0thKT8apQ5yDaqB0ccZSdSjTpwZQrmSuNtaTTWMwM5panxJVQfRol/h5wEcj16kuqJzkJsLzJ0vnUh0MIOsQ2VrE7rCHefbjgabwic+t3sX43FtLn6/aFDdnN9LQR27K8xw3u6e4tPkfcD3n4Oj48Xi9I/+HnB/s3';

it('squeezes what it can open', () => {
  const compressed = compress(Buffer.from(text), { stream, at });
  expect(compressed && Buffer.from(decompress(compressed, { stream, at })).toString()).toBe(text);
});
