/** What every Identity promises. Where confirmation by e-mail is on it is off in the harness. */
import assert from 'node:assert/strict';
import type { Identity, Registration } from '../../domain/ports.ts';
import { fresh, upTo } from './fresh.ts';
import type { PortPromise } from './promise.ts';

const password = 'correct horse battery staple';

function someone(more: Partial<Registration> = {}): Registration {
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
  const registration = someone(more);
  assert.deepEqual(await port.register(registration), { outcome: 'registered' });
  return registration;
}

export const identityPromises: PortPromise<Identity>[] = [
  {
    promise: 'who registered can sign in and is known by the ids, e-mail and name given then',
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
    promise: 'an e-mail is taken once registered, whatever its case, and the first ids stay',
    async check(port) {
      const first = await registered(port);
      const again = someone({ email: first.email.toUpperCase(), password: 'another long enough password' });
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
    promise: 'sign-in does not mind the case of the e-mail',
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
    promise: 'of 10 who register one e-mail at once exactly one is registered',
    async check(port) {
      const email = `${fresh('mail')}@example.com`;
      const concurrents = upTo(10).map(() => someone({ email }));
      const outcomes = (await Promise.all(concurrents.map((concurrent) => port.register(concurrent)))).map(
        (answer) => answer.outcome,
      );
      assert.deepEqual([...outcomes].sort(), ['registered', ...upTo(9).map(() => 'taken')]);
      const signedIn = await port.signIn(email, password);
      assert.ok(signedIn.outcome === 'signed-in');
      assert.equal(signedIn.userId, concurrents[outcomes.indexOf('registered')]?.userId);
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
    promise: 'a wrong password and an unknown e-mail are refused alike',
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
    promise: 'all of a long password counts, to the last of 256 characters',
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
      'a weak password is refused with what to do: under 12 or over 256 characters, blank at an end, common, or the e-mail itself',
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
        const answer = await port.register(someone({ email, password: weak }));
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
