/** The contract of the port KeyRing. */
import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import type { KeyRing } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

const hex = (bytes: Uint8Array | undefined) => (bytes === undefined ? undefined : Buffer.from(bytes).toString('hex'));

export const keyRingPromises: PortPromise<KeyRing>[] = [
  {
    promise: 'returns the same 32 bytes for a key every time',
    async check(port) {
      const account = fresh('acc');
      const [accountKey, subjectKey] = [await port.accountKey(account), await port.subjectKey(account, 'usr_1')];
      assert.equal(accountKey?.length, 32);
      assert.equal(subjectKey?.length, 32);
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
      const [one, other] = [fresh('acc'), fresh('acc')];
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
    promise: 'returns the same key to 20 concurrent first uses',
    async check(port) {
      const account = fresh('acc');
      const keys = await Promise.all(
        upTo(20).map((n) => (n % 2 ? port.subjectKey(account, 'usr_1') : port.accountKey(account))),
      );
      assert.equal(new Set(keys.map(hex)).size, 2);
      assert.deepEqual(await port.subjectKey(account, 'usr_1'), keys[0]);
      assert.deepEqual(await port.accountKey(account), keys[1]);
    },
    broken: (port) => {
      let calls = 0;
      return { ...port, accountKey: (account) => port.accountKey(calls++ === 3 ? fresh('acc') : account) };
    },
  },
  {
    promise: 'never returns a destroyed subject key, and keeps the others',
    async check(port) {
      const account = fresh('acc');
      await port.subjectKey(account, 'usr_1');
      const kept = await port.subjectKey(account, 'usr_2');
      await port.destroySubject(account, 'usr_1');
      await port.destroySubject(account, 'usr_1');
      assert.equal(await port.subjectKey(account, 'usr_1'), undefined);
      assert.deepEqual(
        await Promise.all(upTo(5).map(() => port.subjectKey(account, 'usr_1'))),
        upTo(5).map(() => undefined),
      );
      assert.deepEqual(await port.subjectKey(account, 'usr_2'), kept);
      assert.equal((await port.accountKey(account))?.length, 32);
    },
    broken: (port) => {
      const replaced = new Map<string, string>();
      return {
        ...port,
        destroySubject: async (_, subject) => void replaced.set(subject, fresh('usr')),
        subjectKey: (account, subject) => port.subjectKey(account, replaced.get(subject) ?? subject),
      };
    },
  },
  {
    promise: 'returns no key for a subject that was destroyed before its first use',
    async check(port) {
      const account = fresh('acc');
      await port.destroySubject(account, 'usr_1');
      assert.equal(await port.subjectKey(account, 'usr_1'), undefined);
    },
    broken: (port) => ({
      ...port,
      async destroySubject() {},
    }),
  },
  {
    promise: 'destroys the key of an account and of all its subjects permanently',
    async check(port) {
      const [account, other] = [fresh('acc'), fresh('acc')];
      await port.subjectKey(account, 'usr_1');
      const kept = await port.subjectKey(other, 'usr_1');
      await port.destroyAccount(account);
      await port.destroyAccount(account);
      assert.equal(await port.accountKey(account), undefined);
      assert.equal(await port.subjectKey(account, 'usr_1'), undefined);
      assert.equal(await port.subjectKey(account, 'usr_new'), undefined);
      await port.destroySubject(account, 'usr_1');
      assert.equal(await port.accountKey(account), undefined);
      assert.deepEqual(await port.subjectKey(other, 'usr_1'), kept);
    },
    broken: (port) => ({ ...port, destroyAccount: (account) => port.destroySubject(account, 'usr_1') }),
  },
  {
    promise: 'leaves no key after a destruction with 10 concurrent first uses',
    async check(port) {
      const account = fresh('acc');
      await port.accountKey(account);
      await Promise.all([
        ...upTo(10).map(() => port.subjectKey(account, 'usr_1')),
        port.destroySubject(account, 'usr_1'),
      ]);
      assert.equal(await port.subjectKey(account, 'usr_1'), undefined);
    },
    broken: (port) => ({
      ...port,
      subjectKey: async (account, subject) =>
        (await port.subjectKey(account, subject)) ?? port.subjectKey(account, fresh(subject)),
    }),
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
