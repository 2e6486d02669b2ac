import { expect, it } from 'vitest';
import { connectSource } from '../../commands/connect-source.ts';
import { registerUser } from '../../commands/register-user.ts';
import type { Platform } from '../../domain/ports.ts';
import { openTestPlatform } from '../support/embedded.ts';

const ada = { email: 'ada@example.com', password: 'correct horse battery staple', name: 'Ada' };
const cause = { commandId: 'register-1', correlationId: 'test' };

it('completes a registration that died half-way only by a repeat of the same command', async () => {
  const { platform } = await openTestPlatform();
  const append = () => Promise.reject(new Error('it died here'));
  const dying: Platform = { ...platform, events: { ...platform.events, append } };
  await expect(registerUser(dying, cause, ada)).rejects.toThrow('it died here');

  const taken = expect.objectContaining({ code: 'email-taken' });
  await expect(registerUser(platform, { ...cause, commandId: 'register-2' }, ada)).rejects.toEqual(taken);
  await expect(registerUser(platform, cause, { ...ada, password: 'another password of mine' })).rejects.toEqual(taken);
  const registered = await registerUser(platform, cause, ada);
  expect(registered).toMatchObject({ outcome: 'registered', user: { email: ada.email, name: ada.name } });
  expect(await registerUser(platform, cause, ada)).toEqual(registered);
  const { items } = await platform.events.streams({ limit: 10 });
  expect(items.map(({ version }) => version)).toEqual([1, 1]);
  expect(await platform.identity.signIn(ada.email, ada.password)).toMatchObject({
    userId: registered.outcome === 'registered' && registered.user.id,
  });
});

it('makes keys for a new account and a new source only, never for a repeat', async () => {
  const { platform } = await openTestPlatform({ strictKeys: true });
  const made: string[] = [];
  const keys: Platform['keys'] = {
    ...platform.keys,
    createAccount: async (account) => {
      made.push(account);
      await platform.keys.createAccount(account);
    },
    createSubject: async (account, subject) => {
      made.push(subject);
      await platform.keys.createSubject(account, subject);
    },
  };
  const watched: Platform = { ...platform, keys };
  const registered = await registerUser(watched, cause, ada);
  if (registered.outcome !== 'registered') throw new Error('nobody registered');
  const { user, account } = registered;
  const context = { account: account.id, actor: { type: 'user' as const, id: user.id }, ...cause };
  const credentials = { accessKeyId: 'a', secretAccessKey: 's' };
  const source = { type: 's3', name: 'Photos', config: { bucket: 'photos' }, credentials };
  const { id } = await connectSource(watched, context, source);
  expect(made).toEqual([account.id, user.id, account.id, id]);
  await registerUser(watched, cause, ada);
  await connectSource(watched, context, source);
  expect(made).toHaveLength(4);
});
