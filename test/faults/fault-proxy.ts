/**
 * A proxy that stands between the SDK's clients and ministack, or any server of S3, and makes trouble as AWS does: it throttles, fails,
 * loses answers after the call has taken effect, cuts them in mid-body, holds them back, and takes only a part of a batch.
 *
 *     const proxy = await startFaultProxy({ target: inject('ministack').endpoint, seed });
 *     const machine = openAws({ ...stage, AWS_ENDPOINT_URL: proxy.endpoint });
 *
 * What becomes of the n-th call of an operation follows from the seed, the operation and n alone, whatever else goes on beside it: one
 * seeded `Trouble` (infra/embedded/trouble.ts) an operation. Put the seed into the test's name, so that a failure tells it; `summary()`
 * tells what was done. A `Plan` of one's own makes other trouble (`onceEach`, `upToAttempt`, `givenUp`), and `proxy.plan` may be changed at any time.
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Chaos, makeChaos } from '../../infra/embedded/chaos.ts';
import { partOf } from './fault-batches.ts';
import { failure, throttling, worded } from './fault-errors.ts';

export type Service = 'dynamodb' | 'sqs' | 's3' | 'events' | 'kms' | 'cognito' | 'ssm';
/** `operation`: as the API's reference calls it (`PutItem`, `GetObject`). `attempt`: the SDK's at the same call, from 1; `id`: that call's. */
export type Call = { service: Service; operation: string; attempt: number; id: string };

/**
 * - `throttled`, `failed` and `botched` are the service's own errors, the last although the call took effect
 * - `refused`: the line breaks before the call is done; `lost`: after, without an answer; `cut`: in the middle of the answer
 * - `slow`: the answer comes after others that were asked for later
 * - `partial`: some of a batch is not done, and the answer says which
 */
export const faults = ['throttled', 'failed', 'botched', 'refused', 'lost', 'cut', 'slow', 'partial'] as const;
export type Fault = (typeof faults)[number];
/** A service's own error, other than its usual ones. */
export type Refusal = { status: number; code: string };

/** What becomes of a call, and when it goes on. `count`: the how-manieth of its operation, from 1. */
export type Plan = (call: Call, chaos: Chaos, count: number) => Outcome | Promise<Outcome>;
type Outcome = Fault | Refusal | undefined;

/** So many of all calls (0–1), each kind of trouble as often as any other that the call can have. */
export function share(part: number, kinds: readonly Fault[] = faults): Plan {
  return ({ operation }, chaos) => {
    const possible = kinds.filter((kind) => kind !== 'partial' || partOf(operation) !== undefined);
    return chaos.chance(part) ? chaos.shuffled([...possible])[0] : undefined;
  };
}

/** Leaves each call alone after so many attempts: for those whose caller cannot ask again, when the SDK has given up. */
export function upToAttempt(most: number, plan: Plan): Plan {
  return (call, chaos, count) => (call.attempt <= most ? plan(call, chaos, count) : undefined);
}

/** Besides, so many of all calls (0–1) fail at each of their attempts, done or not: the SDK gives up, and whoever called has to come again. */
export function givenUp(part: number, plan: Plan): Plan {
  const doomed = new Map<string, Fault>();
  return (call, chaos, count) => {
    if (call.attempt === 1 && chaos.chance(part)) doomed.set(call.id, chaos.chance(0.5) ? 'failed' : 'botched');
    return doomed.get(call.id) ?? plan(call, chaos, count);
  };
}

/** The first call of each of these operations, and no other. */
export function onceEach(fault: Fault, operations: readonly string[]): Plan {
  return ({ operation }, _, count) => (count === 1 && operations.includes(operation) ? fault : undefined);
}

export const calm: Plan = () => undefined;

export type FaultProxy = {
  /** `http://127.0.0.1:<port>`, for AWS_ENDPOINT_URL */
  endpoint: string;
  plan: Plan;
  /** How often an operation was called, and what was done to it. */
  counts(): { [operation: string]: { calls: number } & { [fault in Fault]?: number } };
  /** How many calls came, and how many of them met trouble. */
  total(): { calls: number; withFaults: number };
  /** The seed and the counts, to be printed when a test fails. */
  summary(): string;
  close(): Promise<void>;
};

type Answer = { status: number; headers: { [name: string]: string | string[] | undefined }; body: Buffer };

/** How long a slow answer is held back at most when no others come: in milliseconds, for the other end must not depend on it. */
const slowAtMost = 40;

/** `plan`: by default 30 % of all calls meet every kind of trouble. */
export async function startFaultProxy({
  target,
  seed,
  plan = share(0.3),
}: {
  target: string;
  seed: number;
  plan?: Plan;
}): Promise<FaultProxy> {
  const agent = new Agent({ keepAlive: true });
  const operations = new Map<string, { chaos: Chaos; counts: { calls: number } & { [fault in Fault]?: number } }>();
  let answered = 0;
  let held: { after: number; go(): void }[] = [];

  const proxy: FaultProxy = {
    endpoint: '',
    plan,
    counts: () => Object.fromEntries([...operations].map(([name, { counts }]) => [name, counts])),
    total() {
      const all = [...operations.values()].map(({ counts }) => counts);
      const calls = all.reduce((sum, each) => sum + each.calls, 0);
      return {
        calls,
        withFaults: all.reduce((sum, each) => sum + faults.reduce((of, fault) => of + (each[fault] ?? 0), 0), 0),
      };
    },
    summary: () => `seed ${seed}, ${JSON.stringify(proxy.total())}: ${JSON.stringify(proxy.counts(), undefined, 1)}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      agent.destroy();
    },
  };

  async function decide(call: Call): Promise<{ fault: Outcome; chaos: Chaos }> {
    const name = `${call.service} ${call.operation}`;
    const known = operations.get(name) ?? { chaos: makeChaos(seed ^ numberOf(name)), counts: { calls: 0 } };
    operations.set(name, known);
    known.counts.calls++;
    const fault = await proxy.plan(call, known.chaos, known.counts.calls);
    const counted = typeof fault === 'object' ? 'failed' : fault;
    if (counted) known.counts[counted] = (known.counts[counted] ?? 0) + 1;
    return { fault, chaos: known.chaos };
  }

  function forward(incoming: IncomingMessage, body: Buffer): Promise<Answer> {
    const { expect: _, 'transfer-encoding': __, ...headers } = incoming.headers;
    const url = new URL(target);
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          agent,
          host: url.hostname,
          port: url.port,
          method: incoming.method,
          path: incoming.url,
          headers: {
            ...headers,
            ...(body.length > 0 || 'content-length' in headers ? { 'content-length': body.length } : {}),
          },
        },
        async (answer) => {
          try {
            resolve({
              status: answer.statusCode ?? 502,
              headers: answer.headers,
              body: Buffer.concat(await answer.toArray()),
            });
          } catch (error) {
            reject(error);
          }
        },
      );
      outgoing.once('error', reject);
      outgoing.end(body);
    });
  }

  /** Others are answered first, where there are others. */
  function turn(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, slowAtMost);
      held.push({
        after: answered + 2,
        go() {
          clearTimeout(timer);
          resolve();
        },
      });
    });
  }

  function send(response: ServerResponse, answer: Answer, isCut = false): void {
    answered++;
    const due = held.filter(({ after }) => after <= answered);
    held = held.filter((each) => !due.includes(each));
    for (const each of due) each.go();
    const { 'transfer-encoding': _, connection: __, ...headers } = answer.headers;
    const isHead = response.req.method === 'HEAD';
    response.writeHead(answer.status, {
      ...headers,
      ...(isHead || answer.status === 204 ? {} : { 'content-length': answer.body.length }),
    });
    if (!isCut) response.end(isHead ? undefined : answer.body);
    else response.write(answer.body.subarray(0, Math.floor(answer.body.length / 2)), () => response.destroy());
  }

  async function handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = callOf(incoming);
    const { fault, chaos } = await decide(call);
    if (fault === 'refused' && chaos.chance(0.5)) {
      // While the call is still on its way, where it is long enough to be.
      for (const begun of ['data', 'end']) incoming.once(begun, () => incoming.socket.destroy());
      return;
    }
    const body = Buffer.concat(await incoming.toArray());
    if (fault === 'refused') return void response.destroy();
    if (typeof fault === 'object') return send(response, worded(call, fault));
    if (fault === 'throttled') return send(response, throttling(call, body, chaos));
    if (fault === 'failed') return send(response, failure(call, chaos));
    const part = fault === 'partial' ? partOf(call.operation)?.(body, chaos) : undefined;
    const answer = await forward(incoming, part?.body ?? body);
    if (fault === 'botched') return send(response, failure(call, chaos));
    if (fault === 'lost' || (fault === 'cut' && (answer.body.length < 2 || incoming.method === 'HEAD')))
      return void response.destroy();
    if (fault === 'slow') await turn();
    send(
      response,
      part && answer.status === 200 ? { ...answer, body: part.answer(answer.body) } : answer,
      fault === 'cut',
    );
  }

  const server = createServer((incoming, response) => {
    // A line that breaks is what this is for.
    for (const each of [incoming, response]) each.on('error', () => {});
    handle(incoming, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  proxy.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return proxy;
}

const targets: { [prefix: string]: Service } = {
  DynamoDB_20120810: 'dynamodb',
  AmazonSQS: 'sqs',
  AWSEvents: 'events',
  TrentService: 'kms',
  AWSCognitoIdentityProviderService: 'cognito',
  AmazonSSM: 'ssm',
};

function callOf({ method = 'GET', url = '/', headers }: IncomingMessage): Call {
  const [prefix = '', operation = ''] = String(headers['x-amz-target'] ?? '').split('.');
  const service = targets[prefix];
  const attempt = Number(String(headers['amz-sdk-request']).match(/attempt=(\d+)/)?.[1] ?? 1);
  const id = String(headers['amz-sdk-invocation-id']);
  return service
    ? { service, operation, attempt, id }
    : { service: 's3', operation: s3Operation(method, url), attempt, id };
}

/** https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations_Amazon_Simple_Storage_Service.html */
function s3Operation(method: string, url: string): string {
  const [path = '', search = ''] = url.split('?');
  const query = new URLSearchParams(search);
  const isObject = /^\/[^/]+\/./.test(path);
  const by: { [method: string]: string | false } = {
    GET: isObject
      ? 'GetObject'
      : query.has('versions')
        ? 'ListObjectVersions'
        : query.has('list-type') && 'ListObjectsV2',
    HEAD: isObject ? 'HeadObject' : 'HeadBucket',
    PUT: isObject && (query.has('partNumber') ? 'UploadPart' : 'PutObject'),
    POST:
      (query.has('uploads') && 'CreateMultipartUpload') ||
      (query.has('uploadId') && 'CompleteMultipartUpload') ||
      (query.has('delete') && 'DeleteObjects'),
    DELETE: query.has('uploadId') ? 'AbortMultipartUpload' : isObject && 'DeleteObject',
  };
  return by[method] || `${method} bucket`;
}

/** FNV-1a: http://www.isthe.com/chongo/tech/comp/fnv/ */
function numberOf(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash;
}
