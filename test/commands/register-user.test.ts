import { expect, it } from 'vitest';
import { registerUser } from '../../commands/register-user.ts';
import type { Machine } from '../../domain/ports.ts';
import { openTestHome } from '../support/embedded.ts';

const ada = { email: 'ada@example.com', password: 'correct horse battery staple', name: 'Ada' };
const cause = { commandId: 'register-1', correlationId: 'test' };

it('a registration that died before it was recorded is finished by its repeat, and by nobody else', async () => {
  const { machine } = await openTestHome();
  const append = () => Promise.reject(new Error('it died here'));
  const dying: Machine = { ...machine, events: { ...machine.events, append } };
  await expect(registerUser(dying, cause, ada)).rejects.toThrow('it died here');

  const taken = expect.objectContaining({ code: 'email-taken' });
  await expect(registerUser(machine, { ...cause, commandId: 'register-2' }, ada)).rejects.toEqual(taken);
  await expect(registerUser(machine, cause, { ...ada, password: 'another password of mine' })).rejects.toEqual(taken);
  const registered = await registerUser(machine, cause, ada);
  expect(registered).toMatchObject({ outcome: 'registered', user: { email: ada.email, name: ada.name } });
  expect(await registerUser(machine, cause, ada)).toEqual(registered);
  const { items } = await machine.events.streams({ limit: 10 });
  expect(items.map(({ version }) => version)).toEqual([1, 1]);
  expect(await machine.identity.signIn(ada.email, ada.password)).toMatchObject({
    userId: registered.outcome === 'registered' && registered.user.id,
  });
});
