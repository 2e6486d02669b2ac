import { expect, it } from 'vitest';
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
