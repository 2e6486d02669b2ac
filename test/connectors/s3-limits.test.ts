/** A bad S3 server costs minutes, not hours, and a cancel ends every wait at once. */
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { SourceSession } from '../../connectors/connector.ts';
import { openS3 } from '../../connectors/s3.ts';
import { defaultLimits, paced, type S3Limits, TooSlow } from '../../connectors/s3-limits.ts';
import type { SourceEntry } from '../../domain/entry.ts';
import { type Misbehaviour, type S3Server, startS3Server } from '../support/s3-server.ts';
import { filesOf, problemOf, readTogether, readWhole } from './suite.ts';

const forever = new Promise<never>(() => {});
const silentAtHeaders: Misbehaviour = { heldUntil: forever };
const silentInBody: Misbehaviour = { stallAfter: 10 };
const drip: Misbehaviour = { dripMs: 1 };
let pages = 0;
/** Empty and truncated, with another token each. */
const emptyPage = (token = Buffer.from(`!${++pages}`).toString('base64')): Misbehaviour => ({
  raw: {
    status: 200,
    body: `<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken></ListBucketResult>`,
  },
});

let server: S3Server;
let sessions: SourceSession[];
beforeEach(async () => {
  sessions = [];
  pauses = 0;
  server = await startS3Server();
});
afterEach(async () => {
  vi.useRealTimers();
  for (const session of sessions) await session.close();
  await server.close();
});

/** Milliseconds that no test reaches. */
const never = 3_600_000;
/** How often another try was made. */
let pauses = 0;
const patient: S3Limits = {
  ...{ answerMs: never, idleMs: never, slowMs: never, slowBytes: 4096, callMs: never },
  ...{ emptyPages: 1e9, emptyMs: never, pauseMs: 1 },
  async wait() {
    pauses++;
  },
};

/** The limit is short while `times` lasts, which each use decreases. So a slow test machine breaks no other limit. */
function shortened(name: 'answerMs' | 'idleMs' | 'slowMs') {
  const short = { times: 0 };
  const get = () => (short.times-- > 0 ? 50 : never);
  return { short, limits: Object.defineProperty({ ...patient }, name, { get }) };
}

async function open(limits: S3Limits = patient): Promise<SourceSession> {
  const settings = { bucket: server.bucket, endpoint: server.endpoint };
  const context = { allowHosts: [server.host] };
  const session = await openS3(settings, server.credentials, context, limits);
  sessions.push(session);
  return session;
}
async function entriesOf(session: SourceSession): Promise<SourceEntry[]> {
  return filesOf((await session.list(null, { limit: 1000 })).items);
}
const isGet = ({ key }: { key: string }) => key !== '';
const gets = () => server.requests.filter(isGet);
const lists = () => server.requests.filter(({ key }) => key === '');

describe('a server that is too slow', () => {
  test.each<[string, Misbehaviour, Partial<S3Limits>, string]>([
    ['is silent at the headers', silentAtHeaders, { answerMs: 50 }, 'did not begin to answer'],
    ['is silent in the body', silentInBody, { idleMs: 50 }, 'sent nothing for'],
    ['drips', drip, { slowMs: 50 }, 'sent only'],
    ['drips, with enough bytes for its rate', drip, { callMs: 50 }, 'did not complete an answer'],
  ])('fails a listing as unreachable if it %s', async (_what, fault, limits, message) => {
    for (let i = 0; i < 20; i++) server.put(`${i}`, '');
    server.misbehave = () => fault;
    const problem = await problemOf((await open({ ...patient, ...limits })).list(null, { limit: 1000 }));
    expect(problem).toBeInstanceOf(TooSlow);
    expect(problem).toMatchObject({ code: 'unreachable', retryable: true, message: expect.stringContaining(message) });
    // A total deadline includes all tries. Otherwise there are two.
    expect(pauses).toBe('callMs' in limits ? 0 : 1);
  });

  test.each<[string, Misbehaviour, Parameters<typeof shortened>[0], number]>([
    ['is silent at the headers', silentAtHeaders, 'answerMs', 2],
    ['is silent in the body', silentInBody, 'idleMs', 3],
    ['drips', drip, 'slowMs', 3],
  ])('fails one object as unreadable if it %s, and reads the others', async (_what, fault, limit, tries) => {
    for (const key of ['bad', 'good']) server.put(key, Buffer.alloc(4000, key));
    const { short, limits } = shortened(limit);
    const session = await open(limits);
    const [bad, good] = await entriesOf(session);
    server.misbehave = ({ key }) => (key === 'bad' ? fault : undefined);
    short.times = tries;
    expect(await problemOf(readWhole(session, bad as SourceEntry))).toMatchObject({
      ...{ code: 'unreadable', retryable: false },
      message: expect.stringContaining('too slowly'),
    });
    expect((await readWhole(session, good as SourceEntry)).length).toBe(4000);
  });

  test('counts slow objects in a row only', async () => {
    for (const key of ['bad', 'good']) server.put(key, Buffer.alloc(4000, key));
    const { short, limits } = shortened('slowMs');
    const session = await open(limits);
    const [bad, good] = await entriesOf(session);
    server.misbehave = ({ key }) => (key === 'bad' ? drip : undefined);
    for (let i = 0; i < 4; i++) {
      short.times = 3;
      expect((await problemOf(readWhole(session, bad as SourceEntry))).code).toBe('unreadable');
      expect((await readWhole(session, good as SourceEntry)).length).toBe(4000);
    }
  });

  test('fails the reading as unreachable after three slow objects in a row', async () => {
    for (let i = 0; i < 40; i++) server.put(`${i}`, Buffer.alloc(4000, 'x'));
    const { short, limits } = shortened('slowMs');
    const session = await open(limits);
    const files = await entriesOf(session);
    server.misbehave = (request) => (isGet(request) ? drip : undefined);
    short.times = never;
    const reading = readTogether(
      session,
      files.map((entry) => ({ entry })),
    );
    expect(await problemOf(reading)).toMatchObject({ code: 'unreachable', retryable: true });
    // The other objects of the batch are not tried.
    expect(new Set(gets().map(({ key }) => key)).size).toBeLessThanOrEqual(16 + 2);
  });

  test.each<[string, Partial<S3Limits>, () => Misbehaviour, number]>([
    ['so many pages', { emptyPages: 5 }, emptyPage, 5],
    ['so much time', { emptyMs: 0 }, emptyPage, 1],
    ['the same page twice', {}, () => emptyPage('same'), 2],
  ])('fails a listing of empty truncated pages after %s', async (_what, limits, page, requests) => {
    server.misbehave = () => page();
    const problem = await problemOf((await open({ ...patient, ...limits })).list(null, { limit: 1000 }));
    expect(problem).toMatchObject({
      code: 'unusable',
      message: expect.stringContaining(`sent ${requests} empty pages`),
    });
    expect(server.requests).toHaveLength(requests);
  });
});

describe('a slow but honest server', () => {
  test('may take 40 s for the first byte of a listing', async () => {
    server.put('file', 'content');
    const session = await open(defaultLimits);
    const { promise: answer, resolve } = Promise.withResolvers<void>();
    server.misbehave = () => ({ heldUntil: answer });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const listed = session.list(null, { limit: 1000 });
    await vi.waitUntil(() => server.requests.length === 1, { timeout: never });
    await vi.advanceTimersByTimeAsync(40_000);
    resolve();
    expect((await listed).items).toHaveLength(1);
    expect(server.requests).toHaveLength(1);
  });

  test('may send some empty pages', async () => {
    server.put('file', 'content');
    server.misbehave = () => (server.requests.length <= 4 ? emptyPage() : undefined);
    expect(await entriesOf(await open({ ...patient, emptyPages: 5 }))).toHaveLength(1);
  });

  test('may drip if it sends enough', async () => {
    server.put('file', 'x'.repeat(100));
    server.misbehave = (request) => (isGet(request) ? drip : undefined);
    const session = await open({ ...patient, slowMs: 1, slowBytes: 1 });
    const [file] = await entriesOf(session);
    expect((await readWhole(session, file as SourceEntry)).length).toBe(100);
  });
});

describe('a cancel', () => {
  const reason = new Error('the run was cancelled');

  /** Aborts the signal of the call once it waits. No timer of the connector can run meanwhile. */
  async function cancelled(
    session: SourceSession,
    isWaiting: () => boolean,
    call: (signal: AbortSignal) => Promise<unknown>,
  ): Promise<unknown> {
    const stop = new AbortController();
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setInterval', 'clearInterval'] });
    const failed = call(stop.signal).catch((error: unknown) => error);
    await vi.waitUntil(isWaiting, { timeout: never });
    stop.abort(reason);
    const error = await failed;
    vi.useRealTimers();
    // All connections are closed, and the session is still usable.
    await vi.waitUntil(() => server.open() === 0, { timeout: never });
    server.misbehave = () => undefined;
    await session.check();
    return error;
  }

  test.each<[string, () => Misbehaviour]>([
    ['a server that is silent at the headers', () => silentAtHeaders],
    ['a server that is silent in the body', () => silentInBody],
    ['a server that drips', () => drip],
    ['a server that sends empty pages for ever', () => emptyPage()],
  ])('ends a listing, a check and a look of %s', async (_what, fault) => {
    server.put('file', 'content');
    const session = await open();
    for (const call of [
      (signal: AbortSignal) => session.list(null, { limit: 1000, signal }),
      (signal: AbortSignal) => session.check({ signal }),
      (signal: AbortSignal) => session.look({ key: 'file' }, { signal }),
    ]) {
      const before = lists().length;
      server.misbehave = () => fault();
      expect(await cancelled(session, () => lists().length > before, call)).toBe(reason);
    }
  });

  test.each<[string, Misbehaviour]>([
    ['is silent at the headers', silentAtHeaders],
    ['is silent in the body', silentInBody],
    ['drips', drip],
  ])('ends a reading of a server that %s', async (_what, fault) => {
    for (let i = 0; i < 40; i++) server.put(`${i}`, Buffer.alloc(4000, 'x'));
    const session = await open();
    const files = await entriesOf(session);
    let frames = 0;
    server.misbehave = (request) => (isGet(request) ? fault : undefined);
    const read = async (signal: AbortSignal) => {
      const requests = files.map((entry) => ({ entry }));
      for await (const frame of session.read(requests, { signal })) frames += frame.length;
    };
    const isWaiting = () => gets().length === 16 && (fault === silentAtHeaders || frames >= 16);
    expect(await cancelled(session, isWaiting, read)).toBe(reason);
    expect(gets()).toHaveLength(16);
  });

  test('ends the pause before another try', async () => {
    const stop = new AbortController();
    const { wait } = defaultLimits;
    const session = await open({
      ...patient,
      wait(ms, signal) {
        queueMicrotask(() => stop.abort(reason));
        return wait(ms + never, signal);
      },
    });
    server.misbehave = () => ({ answer: { status: 503, code: 'SlowDown' } });
    await expect(session.list(null, { limit: 1, signal: stop.signal })).rejects.toBe(reason);
  });

  test('ends a reading that the consumer left while the server is silent', async () => {
    for (const key of ['a', 'b']) server.put(key, Buffer.alloc(4000, 'x'));
    const session = await open();
    const files = await entriesOf(session);
    server.misbehave = ({ key }) => (key === 'b' ? silentAtHeaders : undefined);
    for await (const _frame of session.read(files.map((entry) => ({ entry })))) break;
    expect((await readWhole(session, files[0] as SourceEntry)).length).toBe(4000);
  });

  test('by a close ends a request that waits', async () => {
    const session = await open();
    server.misbehave = () => silentAtHeaders;
    const listed = problemOf(session.list(null, { limit: 1 }));
    await vi.waitUntil(() => server.requests.length === 1, { timeout: never });
    await session.close();
    expect(await listed).toMatchObject({ code: 'unreachable', message: expect.stringContaining('closed') });
  });
});

describe('the pace of a body', () => {
  const minutes = 60_000;
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }));

  /** Sends `size` bytes each `ms`, `times` times. Returns what arrived, or the error. */
  async function run(size: number, ms: number, times: number): Promise<number | Error> {
    const body = new PassThrough();
    let arrived = 0;
    const reading = (async () => {
      for await (const chunk of paced(body, defaultLimits, undefined)) arrived += chunk.length;
      return arrived;
    })().catch((error: Error) => error);
    for (let i = 0; i < times && !body.destroyed; i++) {
      await vi.advanceTimersByTimeAsync(ms);
      if (!body.destroyed) body.write(Buffer.alloc(size));
    }
    body.end();
    return reading;
  }

  test('fails a byte every 29 s within two minutes', async () => {
    const start = performance.now();
    const error = await run(1, 29_000, 1000);
    expect(error).toMatchObject({
      code: 'unreachable',
      message: expect.stringMatching(/^The server sent only 3 bytes/),
    });
    expect(performance.now() - start).toBeLessThan(2 * minutes);
  });

  test('fails a body without data after 30 s', async () => {
    const start = performance.now();
    expect(await run(1, 31_000, 1)).toMatchObject({ message: expect.stringContaining('sent nothing for 30 seconds') });
    expect(performance.now() - start).toBe(31_000);
  });

  test('passes 4 KiB a minute for hours', async () => {
    expect(await run(2048, 29_000, 1000)).toBe(2048 * 1000);
  });

  test('does not count the time in which the consumer is busy', async () => {
    const body = new PassThrough({ highWaterMark: 10 });
    const chunks = paced(body, defaultLimits, undefined);
    for (let i = 0; i < 5; i++) {
      body.write('x');
      expect((await chunks.next()).value).toHaveLength(1);
      await vi.advanceTimersByTimeAsync(60 * minutes);
    }
    body.end();
    expect(await chunks.next()).toEqual({ value: undefined, done: true });
  });
});
