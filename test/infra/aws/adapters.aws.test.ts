/** Promises of the AWS adapters beyond the contracts of the ports: lost answers, races, leftovers and permissions. */
import { SignUpCommand } from '@aws-sdk/client-cognito-identity-provider';
import { type DynamoDBClient, GetItemCommand, PutItemCommand } from '@aws-sdk/client-dynamodb';
import type { EventBridgeClient } from '@aws-sdk/client-eventbridge';
import { ListMultipartUploadsCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { PutParameterCommand } from '@aws-sdk/client-ssm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { streamName } from '../../../domain/event.ts';
import type { BusEvent, JsonObject, StoredCommit } from '../../../domain/ports.ts';
import { awsBus } from '../../../infra/aws/bus.ts';
import { type AwsClients, awsClients } from '../../../infra/aws/clients.ts';
import type { AwsEnvironment } from '../../../infra/aws/environment.ts';
import { awsEventStore } from '../../../infra/aws/event-store.ts';
import { awsIdentity } from '../../../infra/aws/identity.ts';
import { type AwsPlatform, openAws } from '../../../infra/aws/platform.ts';
import { awsRecords } from '../../../infra/aws/records.ts';
import { awsSecrets, parameterName } from '../../../infra/aws/secrets.ts';
import { fresh, upTo } from '../../contract/fresh.ts';
import { makeStage, ministackClients } from '../../emulator/aws-resources.ts';
import { awsKeys } from '../../support/aws-keys.ts';

let clients: AwsClients;
let env: AwsEnvironment & { [name: string]: string };
let platform: AwsPlatform;
beforeAll(async () => {
  clients = ministackClients();
  env = await makeStage(clients);
  platform = openAws(env);
});
afterAll(() => {
  platform.close();
  clients.close();
});

/** Clients that lose the first answer to this command. AWS has executed it, and the SDK repeats it. */
function losingAnswer(commandName: string): AwsClients & { lost(): boolean } {
  const own = awsClients(env);
  let lost = false;
  own.dynamo().middlewareStack.add(
    (next, context) => async (call) => {
      const answer = await next(call);
      if (context.commandName !== commandName || lost) return answer;
      lost = true;
      throw Object.assign(new Error('The connection broke.'), { name: 'TimeoutError', $metadata: {} });
    },
    { step: 'finalizeRequest', name: 'losing', priority: 'low' },
  );
  return { ...own, lost: () => lost };
}

describe('a lost answer', () => {
  it('does not turn an append that succeeded into a conflict', async () => {
    const stream = streamName(fresh('acc'), 'job', fresh('job'));
    const commit = (hash: string): StoredCommit => ({
      stream,
      version: 1,
      at: '2026-01-01T00:00:00.000Z',
      prevHash: '0'.repeat(64),
      hash: hash.repeat(64),
      body: { bytes: new Uint8Array([1]) },
    });
    const own = losingAnswer('PutItemCommand');
    const events = awsEventStore(own.documents, env.TABLE_PREFIX);
    expect(await events.append(commit('a'))).toBe('appended');
    expect(await events.append(commit('a'))).toBe('conflict');
    expect(await events.append(commit('b'))).toBe('conflict');
    own.close();
    const concurrent = losingAnswer('PutItemCommand');
    expect(await awsEventStore(concurrent.documents, env.TABLE_PREFIX).append(commit('b'))).toBe('conflict');
    concurrent.close();
  });

  it('does not apply an add twice', async () => {
    const own = losingAnswer('TransactWriteItemsCommand');
    const records = awsRecords(own.documents, env.TABLE_PREFIX, Date.now);
    const key = { pk: fresh('rec'), sk: 'tally' };
    expect(await records.write([{ op: 'add', ...key, add: { n: 1 } }])).toBe(true);
    expect((await records.get(key))?.data).toEqual({ n: 1 });
    expect(own.lost()).toBe(true);
    own.close();
  });
});

describe('rows and records', () => {
  it('store values that DynamoDB has no type for', async () => {
    let deep: JsonObject = { bottom: true };
    for (const _ of upTo(60)) deep = { deep };
    const data: JsonObject = {
      huge: Number.MAX_VALUE,
      tiny: Number.MIN_VALUE,
      name: 'caf\udcc3\udca9',
      '': { '': '' },
      deep,
      many: [[[]], null],
    };
    const key = { pk: fresh('rec'), sk: 'odd' };
    await platform.records.write([{ op: 'put', ...key, data }]);
    expect((await platform.records.get(key))?.data).toEqual(data);
    expect(
      await platform.records.write([{ op: 'check', ...key, if: { equals: { name: 'caf\udcc3\udca9', deep } } }]),
    ).toBe(true);
    await platform.rows.apply(fresh('projection'), fresh('stream'), 1, [
      { op: 'update', table: 'jobs', ...key, set: data },
    ]);
    expect((await platform.rows.get({ table: 'jobs', ...key }))?.data).toEqual(data);
  });

  it('replace an expired record once under concurrent adds', async () => {
    const key = { pk: fresh('rec'), sk: 'tally' };
    await platform.records.write([
      { op: 'put', ...key, data: { n: 100, old: true }, expiresAt: Math.floor(Date.now() / 1000) - 10 },
    ]);
    await Promise.all([
      ...upTo(10).map(() => platform.records.add(key, { n: 1 })),
      ...upTo(10).map((n) =>
        platform.records.write([
          { op: 'add', ...key, add: { n: 1 } },
          { op: 'put', ...key, sk: `part ${n}`, data: {} },
        ]),
      ),
    ]);
    expect(await platform.records.get(key)).toEqual({ ...key, data: { n: 20 } });
  });

  it('refuse an invalid cursor', async () => {
    await expect(platform.rows.query({ table: 'jobs', pk: 'a', limit: 1, cursor: '???' })).rejects.toMatchObject({
      code: 'invalid-cursor',
    });
  });
});

describe('blobs', () => {
  const versionsOf = async (Prefix: string) => {
    const all = await clients.s3().send(new ListObjectVersionsCommand({ Bucket: env.DATA_BUCKET, Prefix }));
    return [...(all.Versions ?? []), ...(all.DeleteMarkers ?? [])].map((each) => each.Key);
  };

  it('are deleted with every version, and similar keys stay', async () => {
    const key = fresh('blob');
    for (const n of upTo(3)) await platform.blobs.put(key, new Uint8Array([n]));
    await platform.blobs.put(`${key}0`, new Uint8Array([1]));
    expect(await versionsOf(key)).toHaveLength(4);
    await platform.blobs.delete([key]);
    expect(await versionsOf(key)).toEqual([`${key}0`]);
  });

  it('leave no upload parts when the source fails or the key exists meanwhile', async () => {
    const key = fresh('blob');
    async function* parts(then: () => Promise<void>) {
      for (const n of upTo(3)) yield new Uint8Array(12 << 20).fill(n);
      await then();
    }
    const failing = platform.blobs.put(
      key,
      parts(async () => {
        throw new Error('the source went away');
      }),
    );
    await expect(failing).rejects.toThrow('the source went away');
    const late = platform.blobs.put(
      key,
      parts(async () => {
        await platform.blobs.put(key, new Uint8Array([7]));
      }),
      { ifAbsent: true },
    );
    expect(await late).toBe('exists');
    expect(await platform.blobs.get(key)).toEqual(new Uint8Array([7]));
    const uploads = await clients.s3().send(new ListMultipartUploadsCommand({ Bucket: env.DATA_BUCKET }));
    expect(uploads.Uploads ?? []).toEqual([]);
  });
});

describe('bus', () => {
  const event = (version: number): BusEvent => ({
    id: `evt_${version}`,
    type: 'contract.tested.v1',
    account: 'acc_1',
    stream: 'acc_1/job/job_1',
    version,
    index: 0,
    at: '2026-01-01T00:00:00.000Z',
  });

  /** A client that refuses every second event in its first `calls` calls. */
  function refusingHalf(calls: number): { client: EventBridgeClient; taken: string[]; own: AwsClients } {
    const own = awsClients(env);
    const client = own.events();
    const taken: string[] = [];
    let left = calls;
    client.middlewareStack.add(
      () => async (call) => {
        const { Entries = [] } = call.input as { Entries?: { Detail?: string }[] };
        const refused = left-- > 0 ? Entries.map((_, i) => i % 2 === 0) : [];
        taken.push(...Entries.filter((_, i) => !refused[i]).map((entry) => JSON.parse(entry.Detail ?? '{}').id));
        const answer = Entries.map((_, i) =>
          refused[i] ? { ErrorCode: 'ThrottlingException' } : { EventId: String(i) },
        );
        return {
          output: { $metadata: {}, Entries: answer, FailedEntryCount: refused.filter(Boolean).length },
          response: {},
        };
      },
      { step: 'initialize', name: 'refusing-half' },
    );
    return { client, taken, own };
  }

  it('repeats only the events that EventBridge refused', async () => {
    const { client, taken, own } = refusingHalf(3);
    await awsBus(
      () => client,
      () => 'any',
    ).publish(upTo(10).map(event));
    expect(taken.sort()).toEqual(
      upTo(10)
        .map((n) => `evt_${n}`)
        .sort(),
    );
    own.close();
  });

  it('throws when EventBridge keeps refusing events', async () => {
    const { client, own } = refusingHalf(1000);
    const publishing = awsBus(
      () => client,
      () => 'any',
    ).publish(upTo(3).map(event));
    await expect(publishing).rejects.toThrow('ThrottlingException');
    own.close();
  });
});

describe('identity', () => {
  const pool = (confirm: boolean) => () => ({ poolId: env.USER_POOL_ID, clientId: env.USER_POOL_CLIENT_ID, confirm });
  const newRegistration = () => ({
    email: `${fresh('mail')}@example.com`,
    password: 'correct horse battery staple',
    name: 'Zoë',
    userId: fresh('usr'),
    accountId: fresh('acc'),
  });

  it('refuses unconfirmed users and does not reveal accounts when confirmation is on', async () => {
    const identity = awsIdentity(clients.cognito, pool(true));
    const { email, password, ...rest } = newRegistration();
    expect(await identity.register({ email, password, ...rest })).toEqual({ outcome: 'confirm' });
    expect(await identity.register({ ...newRegistration(), email: email.toUpperCase() })).toEqual({
      outcome: 'confirm',
    });
    expect(await identity.signIn(email, password)).toEqual({ outcome: 'unconfirmed' });
  });

  it('signs in a user whose registration stopped half-way', async () => {
    const { email, password, ...rest } = newRegistration();
    await awsIdentity(clients.cognito, pool(true)).register({ email, password, ...rest });
    const identity = awsIdentity(clients.cognito, pool(false));
    expect(await identity.signIn(email, 'some other long password')).toEqual({ outcome: 'refused' });
    expect(await identity.signIn(email, password)).toEqual({ outcome: 'signed-in', email, ...rest });
  });

  it('refuses a direct sign-up at Cognito with an account id of choice', async () => {
    const signUp = clients.cognito().send(
      new SignUpCommand({
        ClientId: env.USER_POOL_CLIENT_ID,
        Username: fresh('intruder'),
        Password: 'correct horse battery staple',
        UserAttributes: [
          { Name: 'email', Value: 'intruder@example.com' },
          { Name: 'custom:accountId', Value: 'acc_of_somebody_else' },
        ],
      }),
    );
    await expect(signUp).rejects.toMatchObject({ name: 'NotAuthorizedException' });
  });
});

describe('key ring', () => {
  it("does not unwrap one account's key as another's", async () => {
    const [one, other] = [fresh('acc'), fresh('acc')];
    const table = `${env.TABLE_PREFIX}subject-keys`;
    await platform.keys.createAccount(one);
    const dynamo: DynamoDBClient = clients.dynamo();
    const { Item } = await dynamo.send(
      new GetItemCommand({ TableName: table, Key: { pk: { S: one }, sk: { S: 'account' } } }),
    );
    expect(Item?.wrapped).toBeDefined();
    await dynamo.send(new PutItemCommand({ TableName: table, Item: { ...Item, pk: { S: other } } }));
    await expect(platform.keys.accountKey(other)).rejects.toMatchObject({ name: 'InvalidCiphertextException' });
  });
});

describe('a destroyed key', () => {
  it('leaves one version of its blob, the tombstone', async () => {
    const keys = awsKeys(clients, env);
    const account = fresh('acc');
    await keys.createAccount(account);
    await keys.destroyAccount(account);
    const versions = async () => {
      const all = await clients
        .s3()
        .send(new ListObjectVersionsCommand({ Bucket: env.KEYS_BUCKET, Prefix: `keys/${account}/` }));
      return [...(all.Versions ?? []), ...(all.DeleteMarkers ?? [])];
    };
    expect(await versions()).toHaveLength(2);
    keys.passDays(8);
    for (let cursor = await keys.sweep(); cursor !== null; ) cursor = await keys.sweep(cursor);
    expect(await versions()).toEqual([expect.objectContaining({ Size: '{"destroyed":true}'.length, IsLatest: true })]);
  });
});

describe('secrets', () => {
  it('are read again after five minutes', async () => {
    const clock = { now: 1_000_000 };
    const secrets = awsSecrets(
      clients.ssm,
      () => env.STAGE,
      () => clock.now,
    );
    const before = await secrets.get('jwt-secret');
    const Name = parameterName(env.STAGE, 'jwt-secret');
    await clients
      .ssm()
      .send(new PutParameterCommand({ Name, Type: 'SecureString', Value: 'rotated', Overwrite: true }));
    clock.now += 299_999;
    expect(await secrets.get('jwt-secret')).toBe(before);
    clock.now += 2;
    expect(await secrets.get('jwt-secret')).toBe('rotated');
  });

  it('have plain names in stage main', () => {
    expect(parameterName('main', 'jwt-secret')).toBe('/listbackup/jwt-secret');
    expect(parameterName('test', 'jwt-secret')).toBe('/listbackup/test/jwt-secret');
  });
});
