/** The AWS adapters lose nothing and do nothing twice while calls are throttled, fail or lose their answers. */
import { createHash } from 'node:crypto';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { streamName } from '../../domain/event.ts';
import type { BusEvent, QueueName, StoredCommit } from '../../domain/ports.ts';
import { type AwsPlatform, openAws } from '../../infra/aws/platform.ts';
import { makeChaos } from '../../infra/embedded/chaos.ts';
import { fresh, upTo } from '../contract/fresh.ts';
import { makeStage, ministackClients } from '../emulator/aws-resources.ts';
import { openWithFaults, type Stage, testProxy } from './aws-world.ts';
import { onceEach, type Plan, share, upToAttempt } from './fault-proxy.ts';

let stage: Stage;
beforeAll(async () => {
  const clients = ministackClients();
  stage = await makeStage(clients);
  clients.close();
});

/** Several platforms behind one proxy, as if each ran in its own process, and one without faults. */
async function withFaults(
  seed: number,
  plan?: Plan,
  many = 1,
): Promise<{ platform: AwsPlatform; platforms: AwsPlatform[]; calm: AwsPlatform }> {
  const proxy = await testProxy(stage, seed, plan);
  const platforms = upTo(many).map(() => openWithFaults(stage, proxy));
  const calm = openAws(stage);
  onTestFinished(() => {
    expect(proxy.total().withFaults).toBeGreaterThan(0);
    calm.close();
  });
  return { platform: platforms[0] as AwsPlatform, platforms, calm };
}

function commitOf(stream: string, version: number, text: string): StoredCommit {
  const bytes = Buffer.from(text);
  const hash = createHash('sha256').update(`${stream} ${version} ${text}`).digest('hex');
  return {
    stream,
    version,
    at: '2026-01-01T00:00:00.000Z',
    prevHash: '0'.repeat(64),
    hash,
    body: { bytes: new Uint8Array(bytes) },
  };
}

function textOf({ body }: StoredCommit): string {
  return 'bytes' in body ? Buffer.from(body.bytes).toString() : '';
}

const toEvents = ({ stream, version, at }: StoredCommit): BusEvent[] => [
  {
    id: `${stream} ${version}`,
    type: 'contract.tested.v1',
    account: stream.split('/')[0] ?? '',
    stream,
    version,
    index: 0,
    at,
  },
];

/** Receives messages until all of these arrived. Returns them in order of arrival, with repeats. */
async function received(
  platform: AwsPlatform,
  queue: QueueName,
  wanted: Set<string>,
  visibilitySeconds = 60,
): Promise<string[]> {
  const all: string[] = [];
  for (const left = new Set(wanted); left.size > 0; ) {
    for (const { body, receipt } of await platform.queue.receive(queue, {
      max: 10,
      visibilitySeconds,
      waitSeconds: 1,
    })) {
      left.delete(String(body.id));
      if (wanted.has(String(body.id))) all.push(String(body.id));
      await platform.queue.ack(queue, receipt);
    }
  }
  return all;
}

/** Faults that the SDK always survives, so that the test can check every answer. */
const chaos = upToAttempt(3, share(0.3));

describe.each([1, 2])('faults in three of ten calls (%i)', (seed) => {
  it('appends each commit of several writers once, and no writer conflicts with itself', async () => {
    const { platforms, calm } = await withFaults(seed, chaos, 4);
    const stream = streamName(fresh('acc'), 'job', fresh('job'));
    const conflictsWithItself: string[] = [];
    await Promise.all(
      platforms.map(async ({ events }, writer) => {
        for (const n of upTo(12)) {
          const text = `${writer}:${n}`;
          for (;;) {
            const version = ((await events.last(stream))?.version ?? 0) + 1;
            if ((await events.append(commitOf(stream, version, text))) === 'appended') break;
            const [there] = await calm.events.getMany([{ stream, version }]);
            if (there && textOf(there) === text) conflictsWithItself.push(text);
          }
        }
      }),
    );
    expect(conflictsWithItself).toEqual([]);
    const commits = await calm.events.load(stream);
    expect(commits.map(({ version }) => version)).toEqual(upTo(48));
    expect(commits.map(textOf).sort()).toEqual(
      [0, 1, 2, 3].flatMap((writer) => upTo(12).map((n) => `${writer}:${n}`)).sort(),
    );
  });

  it('concurrent relays write a gapless ledger with each commit once, and publish all commits', async () => {
    const { platforms, calm } = await withFaults(seed, share(0.3), 3);
    const account = fresh('acc');
    const commits = upTo(8).flatMap((job) =>
      upTo(6).map((version) => commitOf(streamName(account, 'job', `job_${job}`), version, 'x')),
    );
    await Promise.all(commits.map((commit) => calm.events.append(commit)));
    const { shuffled } = makeChaos(seed);
    await Promise.all(
      platforms.map(async ({ relay }) => {
        const notifications = shuffled([...commits]);
        for (const some of [notifications.slice(0, 10), notifications.slice(5, 40), notifications]) {
          for (let failed = true; failed; ) {
            const [result] = await relay.sequence(some);
            failed = result?.error !== undefined;
          }
        }
        for (let published = false; !published; )
          published = await relay.publish(account, toEvents).then(
            () => true,
            () => false,
          );
      }),
    );
    const ledger = await calm.events.ledger(account, { order: 'asc', limit: 1000 });
    expect(ledger.map(({ seq }) => seq)).toEqual(upTo(48));
    for (const job of upTo(8)) {
      const stream = streamName(account, 'job', `job_${job}`);
      expect(ledger.filter((entry) => entry.stream === stream).map(({ version }) => version)).toEqual(upTo(6));
    }
    await received(calm, 'job', new Set(commits.map(({ stream, version }) => `${stream} ${version}`)));
  });

  it('applies each change of rows once, together with its cursor', async () => {
    const { platforms, calm } = await withFaults(seed, chaos, 2);
    const [projection, pk] = [fresh('projection'), fresh('row')];
    const streams = upTo(4).map((n) => fresh(`stream${n}`));
    const count = (sk: string) => ({ op: 'update', table: 'analytics-aggregates', pk, sk, add: { n: 1 } }) as const;
    const outcomes = streams.map((stream, i) =>
      (async () => {
        const alone: string[] = [];
        for (const version of upTo(10)) {
          const apply = (platform = platforms[0] as AwsPlatform) =>
            platform.rows.apply(projection, stream, version, [count('all'), count(stream)]);
          // Two concurrent workers apply half of the streams
          if (i % 2 === 0) alone.push(await apply());
          else expect((await Promise.all(platforms.map(apply))).sort()).toEqual(['applied', 'stale']);
        }
        return alone;
      })(),
    );
    expect((await Promise.all(outcomes)).flat()).toEqual(upTo(20).map(() => 'applied'));
    expect((await calm.rows.get({ table: 'analytics-aggregates', pk, sk: 'all' }))?.data).toEqual({ n: 40 });
    for (const stream of streams) {
      expect((await calm.rows.get({ table: 'analytics-aggregates', pk, sk: stream }))?.data).toEqual({ n: 10 });
      expect(await calm.rows.cursor(projection, stream)).toBe(10);
    }
  });

  it('applies each add and each put of a stream once', async () => {
    const { platforms, calm } = await withFaults(seed, chaos, 2);
    const account = fresh('acc');
    await Promise.all(
      upTo(4).map(async (n) => {
        const [id, stream] = [`job_${n}`, streamName(account, 'job', `job_${n}`)];
        const own = { table: 'jobs', pk: account, sk: `id#${id}` } as const;
        const listed = { op: 'put', table: 'jobs', pk: `${account}#all`, data: { id } } as const;
        for (const version of upTo(10)) {
          const apply = (platform = platforms[0] as AwsPlatform) =>
            platform.rows.apply('jobs', stream, version, [
              { op: 'update', ...own, add: { n: 1 } },
              { ...listed, sk: `${version}` },
            ]);
          if (n % 2 === 0) expect(await apply()).toBe('applied');
          else expect((await Promise.all(platforms.map(apply))).sort()).toEqual(['applied', 'stale']);
        }
        expect((await calm.rows.get(own))?.data).toEqual({ n: 10 });
        expect(await calm.rows.cursor('jobs', stream)).toBe(10);
      }),
    );
    expect((await calm.rows.query({ table: 'jobs', pk: `${account}#all`, limit: 100 })).items).toHaveLength(10);
  });

  it('adds to records once, gives a claim to one worker, and writes several records completely', async () => {
    const { platforms, platform, calm } = await withFaults(seed, chaos, 3);
    const pk = fresh('rec');
    const sums = await Promise.all(
      platforms.map(async ({ records }) => {
        const own: number[] = [];
        for (const _ of upTo(12)) own.push(Number((await records.add({ pk, sk: 'sum' }, { n: 1, bytes: 10 })).n));
        return own;
      }),
    );
    expect(sums.flat().sort((a, b) => a - b)).toEqual(upTo(36));
    expect((await calm.records.get({ pk, sk: 'sum' }))?.data).toEqual({ n: 36, bytes: 360 });

    for (const n of upTo(6)) {
      const claims = platforms.map(({ records }, i) =>
        records.write([{ op: 'put', pk, sk: `lease ${n}`, data: { i }, if: 'absent' }]),
      );
      const won = await Promise.all(claims);
      expect(won.filter(Boolean)).toHaveLength(1);
      expect((await calm.records.get({ pk, sk: `lease ${n}` }))?.data).toEqual({ i: won.indexOf(true) });
    }

    const many = upTo(130).map((n) => ({ pk, sk: `many ${n}`, data: { n } }));
    await platform.records.putMany(many);
    const found = await platform.records.getMany([...many, { pk, sk: 'none' }]);
    expect(found.map(({ data }) => Number(data.n)).sort((a, b) => a - b)).toEqual(upTo(130));
    expect(await calm.records.getMany(many)).toHaveLength(130);
  });

  it('stores blobs completely, reports them stored to their writer, and deletes them', async () => {
    const { platform, platforms, calm } = await withFaults(seed, chaos, 2);
    const prefix = fresh('blob');
    const keys = upTo(20).map((n) => `${prefix}/${n}`);
    const contents = keys.map((key, i) => Buffer.from(key.repeat(i * 200)));
    const outcomes = await Promise.all(
      keys.map(async (key, i) =>
        (
          await Promise.all(
            platforms.map(({ blobs }) => blobs.put(key, contents[i] ?? Buffer.alloc(0), { ifAbsent: true })),
          )
        ).sort(),
      ),
    );
    expect(outcomes).toEqual(keys.map(() => ['exists', 'stored']));
    for (const [i, key] of keys.entries()) {
      expect(Buffer.from((await platform.blobs.get(key)) ?? []).equals(contents[i] ?? Buffer.alloc(0))).toBe(true);
      const range = { offset: 100, length: 1000 };
      expect(
        Buffer.from((await platform.blobs.get(key, range)) ?? []).equals(
          (contents[i] ?? Buffer.alloc(0)).subarray(100, 1100),
        ),
      ).toBe(true);
    }
    await platform.blobs.delete(keys);
    expect((await calm.blobs.list(`${prefix}/`, { limit: 100 })).items).toEqual([]);
  });

  it('loses no message and no event, sent or received but not acknowledged', async () => {
    const { platform, calm } = await withFaults(seed, chaos);
    const sent = upTo(40).map((n) => fresh(`message${n}`));
    await platform.queue.send(
      'data',
      sent.map((id) => ({ body: { id } })),
    );
    // Short, because a lost answer hides the messages in it
    await received(platform, 'data', new Set(sent), 1);
    const events = upTo(40).flatMap((version) => toEvents(commitOf(`${fresh('acc')}/job/job_1`, version, 'x')));
    await platform.bus.publish(events);
    await received(calm, 'job', new Set(events.map(({ id }) => id)));
  });

  it('gives concurrent callers the same key', async () => {
    const { platforms } = await withFaults(seed, chaos, 4);
    const account = fresh('acc');
    const keys = await Promise.all(
      platforms.map(async ({ keys: ring }) => [
        await ring.accountKey(account),
        await ring.subjectKey(account, 'usr_1'),
      ]),
    );
    expect(new Set(keys.map((pair) => pair.map((key) => Buffer.from(key ?? []).toString('hex')).join())).size).toBe(1);
  });
});

describe('an answer lost after the call took effect', () => {
  it('does not turn an append into a conflict, lose a claim or repeat an add', async () => {
    const { platform, calm } = await withFaults(1, onceEach('lost', ['PutItem', 'UpdateItem', 'TransactWriteItems']));
    const commit = commitOf(streamName(fresh('acc'), 'job', fresh('job')), 1, 'x');
    expect(await platform.events.append(commit)).toBe('appended');
    expect(await platform.events.append(commit)).toBe('conflict');
    const pk = fresh('rec');
    expect(await platform.records.add({ pk, sk: 'sum' }, { n: 2, m: 1 })).toEqual({ n: 2, m: 1 });
    expect(await platform.records.write([{ op: 'put', pk, sk: 'lease', data: {}, if: 'absent' }])).toBe(true);
    expect((await calm.records.get({ pk, sk: 'sum' }))?.data).toEqual({ n: 2, m: 1 });
  });

  it('returns the sum of an add, though others add before the retry', async () => {
    const key = { pk: fresh('rec'), sk: 'sum' };
    const { platform, calm } = await withFaults(1, async ({ operation, attempt }) => {
      if (operation !== 'UpdateItem') return undefined;
      if (attempt === 1) return 'lost';
      expect(await calm.records.add(key, { n: 1 })).toEqual({ n: 2 });
      return undefined;
    });
    expect(await platform.records.add(key, { n: 1 })).toEqual({ n: 1 });
    expect((await calm.records.get(key))?.data).toEqual({ n: 2 });
  });

  it('replaces an expired record once', async () => {
    const { platform, calm } = await withFaults(1, onceEach('lost', ['PutItem']));
    const key = { pk: fresh('rec'), sk: 'sum' };
    await calm.records.write([{ op: 'put', ...key, data: { n: 100 }, expiresAt: Math.floor(Date.now() / 1000) - 10 }]);
    expect(await platform.records.add(key, { n: 1 })).toEqual({ n: 1 });
    expect((await calm.records.get(key))?.data).toEqual({ n: 1 });
  });

  it('does not repeat a transaction whose retry conflicts with a concurrent worker', async () => {
    const thrice: Plan = (_, __, count) => (['lost', 'throttled', undefined] as const)[(count - 1) % 3];
    const { platform, calm } = await withFaults(1, (call, ...rest) =>
      call.operation === 'TransactWriteItems' ? thrice(call, ...rest) : undefined,
    );
    const key = { pk: fresh('rec'), sk: 'sum' };
    for (const _ of upTo(10)) expect(await platform.records.write([{ op: 'add', ...key, add: { n: 1 } }])).toBe(true);
    expect((await calm.records.get(key))?.data).toEqual({ n: 10 });
  });

  it('recognizes its own blob, uploaded whole or in parts', async () => {
    const { platform, calm } = await withFaults(1, onceEach('lost', ['PutObject', 'CompleteMultipartUpload']));
    const [whole, parts] = [fresh('blob'), fresh('blob')];
    const body = Buffer.alloc(20 << 20, 'parts');
    expect(await platform.blobs.put(whole, body.subarray(0, 1000), { ifAbsent: true })).toBe('stored');
    const streamed = async function* () {
      yield body;
    };
    expect(await platform.blobs.put(parts, streamed(), { ifAbsent: true })).toBe('stored');
    expect(Buffer.from((await calm.blobs.get(parts)) ?? []).equals(body)).toBe(true);
    expect(await platform.blobs.put(whole, body.subarray(0, 1000), { ifAbsent: true })).toBe('exists');
  });
});

it('recognizes a completed multipart upload after a lost answer, though the server forgot the upload', async () => {
  const { platform } = await withFaults(1, ({ operation, attempt }) => {
    if (operation !== 'CompleteMultipartUpload') return undefined;
    return attempt === 1 ? 'lost' : { status: 404, code: 'NoSuchUpload' };
  });
  const streamed = async function* () {
    yield Buffer.alloc(20 << 20, 'parts');
  };
  expect(await platform.blobs.put(fresh('blob'), streamed())).toBe('stored');
});

it('repeats only the part of a batch that was not done', async () => {
  const { platform, calm } = await withFaults(1, (_, __, count) => (count % 3 === 0 ? undefined : 'partial'));
  const pk = fresh('rec');
  const records = upTo(60).map((n) => ({ pk, sk: `${n}`, data: { n } }));
  await platform.records.putMany(records);
  expect(await calm.records.getMany(records)).toHaveLength(60);
  expect((await platform.records.getMany(records)).map(({ sk }) => Number(sk)).sort((a, b) => a - b)).toEqual(upTo(60));

  const keys = upTo(12).map((n) => `${pk}/${n}`);
  await Promise.all(keys.map((key) => calm.blobs.put(key, new Uint8Array([1]))));
  await platform.blobs.delete(keys);
  expect((await calm.blobs.list(`${pk}/`, { limit: 100 })).items).toEqual([]);

  const sent = upTo(25).map((n) => `${pk} ${n}`);
  const messages = sent.map((id) => ({ body: { id } }));
  await platform.queue.send('data', messages);
  const events = upTo(25).flatMap((version) => toEvents(commitOf(`${pk}/job/job_1`, version, 'x')));
  await platform.bus.publish(events);
  expect((await received(calm, 'data', new Set(sent))).sort()).toEqual(sent.toSorted());
  const ids = events.map(({ id }) => id);
  expect((await received(calm, 'job', new Set(ids))).sort()).toEqual(ids.toSorted());
});

it('reads a blob again if the answer breaks off', async () => {
  const { platform, calm } = await withFaults(1, (_, __, count) => (count % 3 === 0 ? undefined : 'cut'));
  const key = fresh('blob');
  const body = Buffer.alloc(300_000, 'cut here');
  await calm.blobs.put(key, body);
  expect(Buffer.from((await platform.blobs.get(key)) ?? []).equals(body)).toBe(true);
});

it('abandons and repeats a call that is never answered', async () => {
  const never = new Promise<undefined>(() => {});
  const { platform } = await withFaults(1, ({ attempt }) => (attempt === 1 ? never : 'slow'));
  expect(await platform.records.get({ pk: 'none', sk: 'none' })).toBeUndefined();
});

it('keeps retrying after many calls with faults', async () => {
  const { platform } = await withFaults(1, (_, __, count) => (count % 3 === 0 ? undefined : 'failed'));
  for (const _ of upTo(60)) expect(await platform.records.get({ pk: 'none', sk: 'none' })).toBeUndefined();
});
