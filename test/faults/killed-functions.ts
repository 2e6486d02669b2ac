/**
 * Kills functions of the CDK app at random, on a ministack of this machine. Its functions are Node processes, found by
 * their environment (Linux only). Messages of a killed function become visible again after their timeout, as on AWS.
 */
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as pause } from 'node:timers/promises';
import { GetFunctionConfigurationCommand } from '@aws-sdk/client-lambda';
import { CreateBucketCommand, DeleteObjectCommand, PutObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { GetQueueAttributesCommand, SetQueueAttributesCommand } from '@aws-sdk/client-sqs';
import { sha256 } from '../../activity/commit.ts';
import { checkEverything } from '../../doctor/check-everything.ts';
import type { Finding } from '../../doctor/finding.ts';
import type { Platform } from '../../domain/ports.ts';
import { awsClients } from '../../infra/aws/clients.ts';
import { openAws } from '../../infra/aws/platform.ts';
import { awsList } from '../../infra/aws/prices.ts';
import { type Chaos, makeChaos } from '../../infra/embedded/chaos.ts';
import { type Body, type Client, download, newPerson, until } from '../acceptance/client.ts';
import { silent } from '../support/embedded.ts';

/** Shorter than in production, so that the test need not wait long for the messages of killed functions. */
const visibilitySeconds = 20;

export type Target = { url: string; endpoint: string; s3: S3Client; platform: Platform; close(): Promise<void> };

/**
 * The stage `test` at that URL, with short visibility timeouts until `close`. `environment` holds the root credentials
 * for the SDK.
 */
export async function openTarget(url: string, environment: { [name: string]: string }): Promise<Target> {
  Object.assign(process.env, environment);
  const clients = awsClients(environment);
  const { Environment } = await clients
    .lambda()
    .send(new GetFunctionConfigurationCommand({ FunctionName: 'listbackup-test-job-queue' }));
  const env = { ...Environment?.Variables, ...environment };
  const queues = [env.JOB_QUEUE_URL, env.DATA_QUEUE_URL];
  const hide = async (seconds: number) => {
    const Attributes = { VisibilityTimeout: String(seconds) };
    await Promise.all(
      queues.map((QueueUrl) => clients.sqs().send(new SetQueueAttributesCommand({ QueueUrl, Attributes }))),
    );
  };
  const original = await clients
    .sqs()
    .send(new GetQueueAttributesCommand({ QueueUrl: queues[0], AttributeNames: ['VisibilityTimeout'] }));
  await hide(visibilitySeconds);
  const { close, ...platform } = openAws(env, clients);
  const setBack = async () => {
    await hide(Number(original.Attributes?.VisibilityTimeout));
    close();
  };
  return {
    url,
    endpoint: environment.AWS_ENDPOINT_URL ?? '',
    s3: clients.s3(),
    platform: { ...platform, log: silent },
    close: setBack,
  };
}

/** Names of the running functions (`job-queue`) by process id. */
async function running(endpoint: string): Promise<Map<number, string>> {
  const port = `GATEWAY_PORT=${new URL(endpoint).port}`;
  const found = new Map<number, string>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const variables = (await readFile(`/proc/${name}/environ`, 'utf8').catch(() => '')).split('\0');
    const role = variables.find((each) => each.startsWith('AWS_LAMBDA_FUNCTION_NAME='))?.split('listbackup-test-')[1];
    if (role && variables.includes(port)) found.set(Number(name), role);
  }
  return found;
}

const victims = ['job-queue', 'data-queue', 'relay', 'projections'];

/** Kills `times` functions at moments that `chaos` picks. Returns their names. */
async function killSome({ endpoint }: Target, chaos: Chaos, times: number): Promise<string[]> {
  const killed: string[] = [];
  while (killed.length < times) {
    await pause(chaos.below(3000));
    const chosen = victims[chaos.below(victims.length)];
    const [pid] = [...(await running(endpoint))].find(([, name]) => name === chosen) ?? [];
    if (pid === undefined) continue;
    try {
      process.kill(pid, 'SIGKILL');
      killed.push(String(chosen));
    } catch {
      // The process ended by itself
    }
  }
  return killed;
}

const sizes = [0, 10, 500, 3_000, 20_000, 70_000, 200_000];

/**
 * One user backs up a bucket, changes it and backs it up again, while functions are killed. Throws if anything is lost,
 * doubled or damaged. Returns the names of the killed functions.
 */
export async function tellOnAws(target: Target, seed: number): Promise<string[]> {
  const chaos = makeChaos(seed);
  const { url, endpoint, s3 } = target;
  const held = new Map<string, Uint8Array>();
  const Bucket = `soak-${seed}-${randomBytes(4).toString('hex')}`;
  await s3.send(new CreateBucketCommand({ Bucket }));
  const put = async (Key: string) => {
    const Body = randomBytes(sizes[chaos.below(sizes.length)] ?? 0);
    await s3.send(new PutObjectCommand({ Bucket, Key, Body }));
    held.set(Key, Body);
  };
  for (let i = 0; i < 12; i++) await put(`${i % 3}/file ${i}`);
  const person = await patiently(() => newPerson(url));
  const api = patient(person.api);
  const config = { bucket: Bucket, endpoint, region: 'us-east-1' };
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' };
  const { id: sourceId } = await api.expect(201, 'POST', '/sources', {
    body: { type: 's3', name: 'Bucket', config, credentials },
  });
  const { id: jobId } = await api.expect(201, 'POST', '/jobs', { body: { name: 'Bucket', sourceId } });
  const killed: string[] = [];

  const backup = async (kills: number) => {
    const { id } = await api.expect(202, 'POST', `/jobs/${jobId}/run`);
    const [, names] = await Promise.all([succeeded(api, String(id)), killSome(target, chaos, kills)]);
    killed.push(...names);
  };
  await backup(1 + chaos.below(2));
  for (const key of ['0/file 0', '1/file 4', 'new']) await put(key);
  await s3.send(new DeleteObjectCommand({ Bucket, Key: '2/file 5' }));
  held.delete('2/file 5');
  await backup(1 + chaos.below(2));

  const expected = new Map([...held].map(([path, bytes]) => [path, sha256(bytes)]));
  const began = performance.now();
  const wrong = () => wrongIn(api, String(sourceId), expected);
  const first = await wrong();
  if (first.length > 0) {
    const late = await until('all files to be restored correctly', async () =>
      (await wrong()).length === 0 ? true : undefined,
    ).catch(() => false);
    const after = late ? `for ${((performance.now() - began) / 1000).toFixed(1)} s` : 'permanently';
    const { items: parked } = await target.platform.records.query('parked', { limit: 100 });
    throw new Error(`restored wrongly, ${after}: ${first.join(', ')}; parked: ${JSON.stringify(parked)}`);
  }
  const runs = await api.all('/runs');
  if (runs.length !== 2) throw new Error(`there are ${runs.length} runs`);
  await requireClean(target, person.account);
  return killed;
}

/** The paths whose newest backup differs from the expected hash. */
async function wrongIn(api: Client, sourceId: string, expected: Map<string, string>): Promise<string[]> {
  const restored = new Map<string, string>();
  for (const { id, path, kind } of await api.all(`/data/files?sourceId=${sourceId}&recursive=true`)) {
    if (kind !== 'file') continue;
    const { bytes } = await download(api, String(id));
    restored.set(String(path), sha256(bytes));
  }
  const paths = new Set([...expected.keys(), ...restored.keys()]);
  return [...paths].filter((path) => expected.get(path) !== restored.get(path));
}

async function succeeded(api: Client, id: string): Promise<void> {
  const run = await until(
    `run ${id} to end`,
    async () => {
      const { status, body } = await api.call('GET', `/runs/${id}`);
      if (status === 200 && typeof body.finishedAt === 'string') return body;
      await pause(500);
      return undefined;
    },
    300,
  );
  if (run.status !== 'succeeded') throw new Error(`run ${id} ended ${run.status}: ${JSON.stringify(run.errors)}`);
}

/** Repeats the work if a killed function could not answer. */
async function patiently<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt === 5) throw error;
      await pause(1000);
    }
  }
}

/** Sends each POST with its own idempotency key, and repeats requests that the API could not answer. */
function patient(api: Client): Client {
  const call: Client['call'] = async (method, path, options = {}) => {
    const headers = {
      ...options.headers,
      ...(method === 'POST' && { 'idempotency-key': randomBytes(16).toString('hex') }),
    };
    return patiently(async () => {
      const answer = await api.call(method, path, { ...options, headers });
      if (answer.status >= 500)
        throw new Error(`${method} ${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
      return answer;
    });
  };
  return {
    call,
    async expect(status, method, path, options): Promise<Body> {
      const answer = await call(method, path, options);
      if (answer.status !== status)
        throw new Error(`${method} ${path} was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
      return answer.body;
    },
    all: (path, limit) => patiently(() => api.all(path, limit)),
  };
}

/** Streams of the account that are ahead of its ledger, because the reconcile has not repaired lost notifications. */
async function missingInLedger(
  platform: Platform,
  account: string,
): Promise<{ stream: string; version: number; ledger: number }[]> {
  const entered = new Map<string, number>();
  for (let after = 0; ; ) {
    const entries = await platform.events.ledger(account, { afterSeq: after, order: 'asc', limit: 100 });
    for (const { stream, version } of entries) entered.set(stream, version);
    const last = entries.at(-1);
    if (!last) break;
    after = last.seq;
  }
  const lagging: { stream: string; version: number; ledger: number }[] = [];
  for (let cursor: string | undefined; ; ) {
    const page = await platform.events.streams({ limit: 1000, ...(cursor ? { cursor } : {}) });
    for (const { stream, version } of page.items) {
      if (stream.startsWith(`${account}/`) && version > (entered.get(stream) ?? 0))
        lagging.push({ stream, version, ledger: entered.get(stream) ?? 0 });
    }
    if (!page.next) return lagging;
    cursor = page.next;
  }
}

/** Waits until the doctor finds nothing. Throws if it still reports a failure. */
async function requireClean(target: Target, account: string): Promise<void> {
  const { platform } = target;
  const connectors = () => ({ allowHosts: [new URL(target.endpoint).host] });
  const deployment = { platform, connectors, prices: awsList };
  let found: Finding[] = [];
  // Messages of killed functions return within half a minute, accounts that the relay put aside within a minute
  await until(
    'the doctor to find nothing',
    async () => {
      found = [];
      for await (const finding of checkEverything(platform, { account, readData: true, quiet: true, deployment })) {
        if (finding.severity === 'failure') found.push(finding);
      }
      if (found.length === 0) return true;
      await pause(1000);
      return undefined;
    },
    120,
  ).catch(async (error) => {
    const { items: aside } = await platform.records.query('relay-aside', { limit: 100 });
    const notInLedger = await missingInLedger(platform, account);
    throw new Error(`the doctor found ${JSON.stringify({ found, aside, notInLedger }, null, 2)}`, { cause: error });
  });
}
