/** The contract of the port KeyRing. */
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import type { KeyRing } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

/** A key ring with a clock that the suite moves, and access to the two stores of each key. */
export type KeyRingHarness = KeyRing & {
  passDays(days: number): void;
  lose(store: 'table' | 'blobs', account: string, subject?: string): Promise<void>;
};

/** Days until caches are empty, and until a scheduled destruction is due. */
const cacheDays = 0.001;
const graceDays = 7;
const dueDays = 7.1;

const hex = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString('hex'));

async function newAccount(port: KeyRing, ...subjects: string[]): Promise<string> {
  const account = fresh('acc');
  await port.createAccount(account);
  for (const subject of subjects) await port.createSubject(account, subject);
  return account;
}

async function sweepRound(port: KeyRing): Promise<void> {
  for (let cursor = await port.sweep(); cursor !== null; ) cursor = await port.sweep(cursor);
}

const isMissing = { name: 'Problem', code: 'key-missing' };

export const keyRingPromises: PortPromise<KeyRingHarness>[] = [
  {
    promise: 'returns the same 32 bytes for a key every time, also when it is created again',
    async check(port) {
      const account = await newAccount(port, 'usr_1');
      const [accountKey, subjectKey] = [await port.accountKey(account), await port.subjectKey(account, 'usr_1')];
      assert.equal(accountKey?.length, 32);
      assert.equal(subjectKey?.length, 32);
      await port.createAccount(account);
      await port.createSubject(account, 'usr_1');
      port.passDays(cacheDays);
      assert.deepEqual(await port.accountKey(account), accountKey);
      assert.deepEqual(await port.subjectKey(account, 'usr_1'), subjectKey);
    },
    broken: (port) => {
      let salt = 0;
      return { ...port, subjectKey: async (...id) => (await port.subjectKey(...id))?.map((byte) => byte ^ salt++) };
    },
  },
  {
    promise: 'has a different key for each account and each subject',
    async check(port) {
      const one = await newAccount(port, 'usr_1', 'usr_2');
      const other = await newAccount(port, 'usr_1');
      await port.createSubject(one, one);
      const keys = [
        await port.accountKey(one),
        await port.accountKey(other),
        await port.subjectKey(one, 'usr_1'),
        await port.subjectKey(one, 'usr_2'),
        await port.subjectKey(other, 'usr_1'),
        await port.subjectKey(one, one),
      ].map(hex);
      assert.ok(!keys.includes(undefined));
      assert.equal(new Set(keys).size, keys.length);
    },
    broken: (port) => ({ ...port, subjectKey: (account) => port.subjectKey(account, 'usr_1') }),
  },
  {
    promise: 'gives 20 concurrent creations the same key',
    async check(port) {
      const account = fresh('acc');
      const keys = await Promise.all(
        upTo(20).map(async () => {
          await port.createAccount(account);
          await port.createSubject(account, 'usr_1');
          return [await port.accountKey(account), await port.subjectKey(account, 'usr_1')].map(hex).join();
        }),
      );
      assert.equal(new Set(keys).size, 1);
      port.passDays(cacheDays);
      assert.equal(`${hex(await port.accountKey(account))},${hex(await port.subjectKey(account, 'usr_1'))}`, keys[0]);
    },
    broken: (port) => {
      let calls = 0;
      const another = newAccount(port);
      return {
        ...port,
        accountKey: async (account) => port.accountKey(calls++ === 3 ? await another : account),
      };
    },
  },
  {
    promise: 'reports a key that was never created as missing, and creates none',
    async check(port) {
      const account = fresh('acc');
      for (let i = 0; i < 2; i++) {
        await assert.rejects(port.accountKey(account), isMissing);
        await assert.rejects(port.subjectKey(account, 'usr_1'), isMissing);
      }
      await port.createAccount(account);
      for (let i = 0; i < 2; i++) await assert.rejects(port.subjectKey(account, 'usr_1'), isMissing);
    },
    broken: (port) => ({
      ...port,
      async subjectKey(account, subject) {
        await port.createSubject(account, subject);
        return port.subjectKey(account, subject);
      },
    }),
  },
  ...(['table', 'blobs'] as const).map(
    (store): PortPromise<KeyRingHarness> => ({
      promise: `keeps a key that the ${store} lost, and stores it there again`,
      async check(port) {
        const account = await newAccount(port, 'usr_1');
        const keys = async () => {
          port.passDays(cacheDays);
          return Promise.all([port.accountKey(account), port.subjectKey(account, 'usr_1')]).catch(() => 'lost');
        };
        const before = await keys();
        for (const lost of [store, store === 'table' ? ('blobs' as const) : ('table' as const)]) {
          await port.lose(lost, account);
          await port.lose(lost, account, 'usr_1');
          assert.deepEqual(await keys(), before);
          assert.deepEqual(await port.compare(account), []);
        }
      },
      broken: (port) => ({
        ...port,
        async lose(_, account, subject) {
          for (const each of ['table', 'blobs'] as const) await port.lose(each, account, subject);
        },
      }),
    }),
  ),
  {
    promise: 'reports a key that both stores lost as missing',
    async check(port) {
      const account = await newAccount(port, 'usr_1');
      for (const store of ['table', 'blobs'] as const) {
        await port.lose(store, account);
        await port.lose(store, account, 'usr_1');
      }
      port.passDays(cacheDays);
      await assert.rejects(port.accountKey(account), isMissing);
      await assert.rejects(port.subjectKey(account, 'usr_1'), isMissing);
    },
    broken: (port) => ({
      ...port,
      async accountKey(account) {
        await port.createAccount(account);
        return port.accountKey(account);
      },
    }),
  },
  {
    promise: 'names a lost copy in a comparison',
    async check(port) {
      const account = await newAccount(port, 'usr_1');
      assert.deepEqual(await port.compare(account), []);
      await port.lose('table', account);
      await port.lose('blobs', account, 'usr_1');
      assert.deepEqual(
        (await port.compare(account)).sort((a, b) => String(a.subject).localeCompare(String(b.subject))),
        [
          { subject: null, fault: 'missing in the table' },
          { subject: 'usr_1', fault: 'missing in the blobs' },
        ],
      );
    },
    broken: (port) => ({ ...port, compare: async () => [] }),
  },
  {
    promise: 'returns no key of a subject from its destruction on, and keeps the others',
    async check(port) {
      const account = await newAccount(port, 'usr_1', 'usr_2');
      const kept = await port.subjectKey(account, 'usr_2');
      const destroysAt = await port.destroySubject(account, 'usr_1');
      assert.equal(typeof destroysAt, 'number');
      port.passDays(1);
      assert.equal(await port.destroySubject(account, 'usr_1'), destroysAt);
      await port.createSubject(account, 'usr_1');
      assert.deepEqual(
        await Promise.all(upTo(5).map(() => port.subjectKey(account, 'usr_1'))),
        upTo(5).map(() => undefined),
      );
      assert.deepEqual(await port.subjectKey(account, 'usr_2'), kept);
      assert.equal((await port.accountKey(account))?.length, 32);
    },
    broken: (port) => ({ ...port, destroySubject: async () => Date.now() }),
  },
  {
    promise: 'creates no key for a subject that was destroyed before its creation',
    async check(port) {
      const account = await newAccount(port);
      assert.equal(await port.destroySubject(account, 'usr_1'), null);
      await port.createSubject(account, 'usr_1');
      assert.equal(await port.subjectKey(account, 'usr_1'), undefined);
    },
    broken: (port) => ({ ...port, destroySubject: async () => null }),
  },
  {
    promise: 'returns no key of an account and of all its subjects from its destruction on',
    async check(port) {
      const account = await newAccount(port, 'usr_1');
      const other = await newAccount(port, 'usr_1');
      const kept = await port.subjectKey(other, 'usr_1');
      assert.equal(await port.destroyAccount(account), await port.destroyAccount(account));
      await port.createAccount(account);
      assert.equal(await port.accountKey(account), undefined);
      assert.equal(await port.subjectKey(account, 'usr_1'), undefined);
      await port.createSubject(account, 'usr_new');
      assert.equal(await port.subjectKey(account, 'usr_new'), undefined);
      await port.destroySubject(account, 'usr_1');
      assert.equal(await port.accountKey(account), undefined);
      assert.deepEqual(await port.subjectKey(other, 'usr_1'), kept);
    },
    broken: (port) => ({ ...port, destroyAccount: (account) => port.destroySubject(account, 'usr_1') }),
  },
  {
    promise: 'leaves no key after a destruction with 10 concurrent creations',
    async check(port) {
      const account = await newAccount(port);
      await Promise.all([
        ...upTo(10).map(() => port.createSubject(account, 'usr_1')),
        port.destroySubject(account, 'usr_1'),
      ]);
      assert.equal(await port.subjectKey(account, 'usr_1'), undefined);
    },
    broken: (port) => ({
      ...port,
      async subjectKey(account) {
        return port.accountKey(account);
      },
    }),
  },
  {
    promise: 'gives the same keys back when a destruction is taken back in time',
    async check(port) {
      const account = await newAccount(port, 'usr_1');
      const keys = () => Promise.all([port.accountKey(account), port.subjectKey(account, 'usr_1')]);
      const before = await keys();
      await port.destroySubject(account, 'usr_1');
      await port.destroyAccount(account);
      port.passDays(graceDays - 1);
      await sweepRound(port);
      assert.equal(await port.restoreAccount(account), true);
      assert.equal(await port.restoreSubject(account, 'usr_1'), true);
      assert.deepEqual(await keys(), before);
      port.passDays(dueDays);
      await sweepRound(port);
      assert.deepEqual(await keys(), before);
      assert.equal(await port.restoreAccount(account), true);
    },
    broken: (port) => ({ ...port, restoreSubject: async () => true }),
  },
  {
    promise: 'takes no destruction back after its time',
    async check(port) {
      const account = await newAccount(port, 'usr_1');
      await port.destroyAccount(account);
      port.passDays(graceDays);
      assert.equal(await port.restoreAccount(account), false);
      assert.equal(await port.accountKey(account), undefined);
      assert.equal(await port.restoreSubject(account, 'usr_none'), false);
    },
    broken: (port) => ({ ...port, restoreAccount: async () => true }),
  },
  {
    promise: 'leaves no trace of a key in either store after its time, and no other key is affected',
    async check(port) {
      const account = await newAccount(port, 'usr_1', 'usr_2');
      const kept = await port.subjectKey(account, 'usr_2');
      await port.destroySubject(account, 'usr_1');
      port.passDays(dueDays);
      await sweepRound(port);
      assert.equal(await port.destroySubject(account, 'usr_1'), null);
      assert.deepEqual(await port.compare(account), []);
      await port.lose('table', account, 'usr_1');
      assert.equal(await port.destroySubject(account, 'usr_1'), null);
      await port.lose('blobs', account, 'usr_1');
      assert.equal(await port.subjectKey(account, 'usr_1'), undefined);
      assert.deepEqual(await port.subjectKey(account, 'usr_2'), kept);
    },
    broken: (port) => ({ ...port, sweep: async () => null }),
  },
  {
    promise: 'verifies signatures over exactly the signed bytes with its public key, P-256 as SPKI in PEM',
    async check(port) {
      const bytes = Uint8Array.from([0xff, 0x00, ...upTo(200)]);
      const pem = await port.publicKey();
      assert.match(pem, /^-----BEGIN PUBLIC KEY-----\n/);
      const key = createPublicKey(pem);
      assert.equal(key.asymmetricKeyDetails?.namedCurve, 'prime256v1');
      assert.equal(verify('sha256', bytes, key, await port.sign(bytes)), true);
      assert.equal(verify('sha256', bytes, key, await port.sign(bytes.map((byte) => byte ^ 1))), false);
      assert.equal(await port.publicKey(), pem);
    },
    broken: (port) => ({ ...port, sign: async () => port.sign(new Uint8Array()) }),
  },
  {
    promise: 'signs more than 4 KB',
    async check(port) {
      const bytes = new Uint8Array(10_000).fill(7);
      assert.equal(verify('sha256', bytes, createPublicKey(await port.publicKey()), await port.sign(bytes)), true);
    },
    broken: (port) => ({ ...port, sign: (bytes) => port.sign(bytes.subarray(0, 4096)) }),
  },
];
