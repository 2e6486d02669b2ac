/** The contract of the port Identity. The harness turns confirmation by e-mail off. */
import assert from 'node:assert/strict';
import type { Identity, Registration } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

const password = 'correct horse battery staple';

function newRegistration(more: Partial<Registration> = {}): Registration {
  return {
    email: `${fresh('mail')}@example.com`,
    password,
    name: 'Zoë 🎉 O\u2019Neill',
    userId: fresh('usr'),
    accountId: fresh('acc'),
    ...more,
  };
}

async function registered(port: Identity, more: Partial<Registration> = {}): Promise<Registration> {
  const registration = newRegistration(more);
  assert.deepEqual(await port.register(registration), { outcome: 'registered' });
  return registration;
}

export const identityPromises: PortPromise<Identity>[] = [
  {
    promise: 'signs in a registered user and returns the ids, e-mail and name of the registration',
    async check(port) {
      const { email, userId, accountId, name } = await registered(port);
      const signedIn = await port.signIn(email, password);
      assert.deepEqual(signedIn, { outcome: 'signed-in', userId, accountId, email, name });
    },
    broken: (port) => ({
      ...port,
      register: (registration) => port.register({ ...registration, userId: fresh('usr') }),
    }),
  },
  {
    promise: 'refuses a registered e-mail in any case and keeps the first ids',
    async check(port) {
      const first = await registered(port);
      const again = newRegistration({ email: first.email.toUpperCase(), password: 'another long enough password' });
      assert.deepEqual(await port.register(again), { outcome: 'taken' });
      const signedIn = await port.signIn(first.email, password);
      assert.ok(signedIn.outcome === 'signed-in');
      assert.deepEqual([signedIn.userId, signedIn.accountId], [first.userId, first.accountId]);
      assert.deepEqual(await port.signIn(first.email, 'another long enough password'), { outcome: 'refused' });
    },
    broken: (port) => ({
      ...port,
      register: (registration) => port.register({ ...registration, email: registration.email.replace(/^M/, 'X') }),
    }),
  },
  {
    promise: 'ignores the case of the e-mail at sign-in',
    async check(port) {
      const { email, userId } = await registered(port, { email: `${fresh('Mail')}@Example.com` });
      for (const spelled of [email, email.toLowerCase(), email.toUpperCase()]) {
        const signedIn = await port.signIn(spelled, password);
        assert.ok(signedIn.outcome === 'signed-in');
        assert.equal(signedIn.userId, userId);
      }
    },
    broken: (port) => ({
      ...port,
      signIn: async (email, secret) =>
        email === email.toLowerCase() ? port.signIn(email, secret) : { outcome: 'refused' },
    }),
  },
  {
    promise: 'registers exactly one of 10 concurrent registrations of one e-mail',
    async check(port) {
      const email = `${fresh('mail')}@example.com`;
      const registrations = upTo(10).map(() => newRegistration({ email }));
      const outcomes = (await Promise.all(registrations.map((registration) => port.register(registration)))).map(
        (answer) => answer.outcome,
      );
      assert.deepEqual([...outcomes].sort(), ['registered', ...upTo(9).map(() => 'taken')]);
      const signedIn = await port.signIn(email, password);
      assert.ok(signedIn.outcome === 'signed-in');
      assert.equal(signedIn.userId, registrations[outcomes.indexOf('registered')]?.userId);
    },
    broken: (port) => ({
      ...port,
      async register(registration) {
        const answer = await port.register(registration);
        return answer.outcome === 'taken' ? { outcome: 'registered' } : answer;
      },
    }),
  },
  {
    promise: 'refuses a wrong password and an unknown e-mail in the same way',
    async check(port) {
      const { email } = await registered(port);
      const wrong = await port.signIn(email, `${password} `.trim().toUpperCase());
      const unknown = await port.signIn(`${fresh('nobody')}@example.com`, password);
      assert.deepEqual(wrong, { outcome: 'refused' });
      assert.deepEqual(unknown, wrong);
      assert.deepEqual(await port.signIn(email, ''), wrong);
      assert.deepEqual(await port.signIn('', ''), wrong);
    },
    broken: (port) => ({
      ...port,
      signIn: async (email, secret) => {
        const answer = await port.signIn(email, secret);
        return email.startsWith('nobody') && answer.outcome === 'refused' ? { outcome: 'unconfirmed' } : answer;
      },
    }),
  },
  {
    promise: 'compares all 256 characters of a long password',
    async check(port) {
      const long = `${'long and longer '.repeat(15)}ends with an é!!`;
      assert.equal(long.length, 256);
      const { email } = await registered(port, { password: long });
      assert.equal((await port.signIn(email, long)).outcome, 'signed-in');
      assert.deepEqual(await port.signIn(email, `${long.slice(0, -1)}?`), { outcome: 'refused' });
    },
    broken: (port) => ({
      register: (registration) => port.register({ ...registration, password: registration.password.slice(0, 72) }),
      signIn: (email, secret) => port.signIn(email, secret.slice(0, 72)),
    }),
  },
  {
    promise:
      'refuses a weak password with advice: under 12 or over 256 characters, blank at an end, common, or the e-mail',
    async check(port) {
      const email = `${fresh('mail')}@example.com`;
      for (const weak of [
        '',
        'elevenchars',
        'x9 '.repeat(86),
        ' edge blanks here',
        'edge blanks here ',
        'Password1234',
        'aaaaaaaaaaaa',
        '123456789012',
        email,
      ]) {
        const answer = await port.register(newRegistration({ email, password: weak }));
        assert.ok(answer.outcome === 'weak-password', `${JSON.stringify(weak)}: ${answer.outcome}`);
        assert.ok(answer.detail.length > 10);
      }
      await registered(port, { email, password: 'only-lower-case' });
    },
    broken: (port) => ({
      ...port,
      register: (registration) => port.register({ ...registration, password: registration.password.padEnd(12, 'q7') }),
    }),
  },
];
