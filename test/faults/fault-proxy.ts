/**
 * A proxy between SDK clients and ministack, or any S3 server, that injects the faults of AWS. It throttles, fails,
 * loses answers after the call took effect, cuts answers, delays them, and does only a part of a batch.
 *
 *     const proxy = await startFaultProxy({ target: inject('ministack').endpoint, seed });
 *     const platform = openAws({ ...stage, AWS_ENDPOINT_URL: proxy.endpoint });
 *
 * The fault of the n-th call of an operation depends on the seed, the operation and n alone, not on other calls. Each
 * operation has its own seeded `Chaos` (infra/embedded/chaos.ts). Put the seed into the test's name. `summary()` lists
 * the injected faults. Tests can pass their own `Plan` (`onceEach`, `upToAttempt`, `failingCalls`), and can change
 * `proxy.plan` at any time.
 */
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Chaos, makeChaos } from '../../infra/embedded/chaos.ts';
import { partOf } from './fault-batches.ts';
import { failure, throttling, worded } from './fault-errors.ts';

export type Service = 'dynamodb' | 'sqs' | 's3' | 'events' | 'kms' | 'cognito' | 'ssm';
/**
 * `operation` has its name in the API reference (`PutItem`, `GetObject`). `attempt` counts the SDK's attempts at one
 * call, from 1. All attempts of a call have the same `id`.
 */
export type Call = { service: Service; operation: string; attempt: number; id: string };

/**
 * `throttled`, `failed` and `botched` are errors of the service. A `botched` call took effect all the same.
 * The connection breaks before a `refused` call, after a `lost` one, and within the answer of a `cut` one.
 * A `slow` answer arrives after the answers of later calls.
 * The service does a part of a `partial` batch, and the answer lists the rest.
 */
export const faults = ['throttled', 'failed', 'botched', 'refused', 'lost', 'cut', 'slow', 'partial'] as const;
export type Fault = (typeof faults)[number];
/** An error of the service that `Fault` does not cover. */
export type Refusal = { status: number; code: string };

/** Picks the fault of a call. The call waits for the promise. `count` numbers the calls of an operation, from 1. */
export type Plan = (call: Call, chaos: Chaos, count: number) => Outcome | Promise<Outcome>;
type Outcome = Fault | Refusal | undefined;

/** Faults in that share of all calls (0–1). All kinds that the call can have are equally likely. */
export function share(part: number, kinds: readonly Fault[] = faults): Plan {
  return ({ operation }, chaos) => {
    const possible = kinds.filter((kind) => kind !== 'partial' || partOf(operation) !== undefined);
    return chaos.chance(part) ? chaos.shuffled([...possible])[0] : undefined;
  };
}

/** Faults only in the first attempts, so that the SDK always succeeds: for callers that cannot repeat a failed call. */
export function upToAttempt(last: number, plan: Plan): Plan {
  return (call, chaos, count) => (call.attempt <= last ? plan(call, chaos, count) : undefined);
}

/**
 * Adds calls that fail at every attempt, before or after they took effect. The SDK throws and the caller must repeat
 * the call. `part` is their share of all calls (0–1).
 */
export function failingCalls(part: number, plan: Plan): Plan {
  const doomed = new Map<string, Fault>();
  return (call, chaos, count) => {
    if (call.attempt === 1 && chaos.chance(part)) doomed.set(call.id, chaos.chance(0.5) ? 'failed' : 'botched');
    return doomed.get(call.id) ?? plan(call, chaos, count);
  };
}

/** A fault in the first call of each of these operations, and in no other call. */
export function onceEach(fault: Fault, operations: readonly string[]): Plan {
  return ({ operation }, _, count) => (count === 1 && operations.includes(operation) ? fault : undefined);
}

export const calm: Plan = () => undefined;

export type FaultProxy = {
  /** `http://127.0.0.1:<port>`, for AWS_ENDPOINT_URL */
  endpoint: string;
  plan: Plan;
  /** Calls and injected faults by operation. */
  counts(): { [operation: string]: { calls: number } & { [fault in Fault]?: number } };
  /** All calls, and those with a fault. */
  total(): { calls: number; withFaults: number };
  /** The seed and the counts, to print when a test fails. */
  summary(): string;
  close(): Promise<void>;
};

type Answer = { status: number; headers: { [name: string]: string | string[] | undefined }; body: Buffer };

/** The longest delay of a slow answer while no other answers pass, in ms. */
const slowAtMost = 40;

/** By default 30 % of all calls meet a fault, of any kind. */
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

  /** Waits until two other answers passed, or until `slowAtMost`. */
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
      // Break the connection while the request is still being sent, if it is long enough.
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
    // Broken connections are the purpose of this proxy.
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
