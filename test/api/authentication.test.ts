import { expect, test } from 'vitest';
import { authenticate } from '../../api/authentication.ts';
import { openSession } from '../../api/sessions.ts';
import { ada, testMachine } from '../support/api.ts';

test('only one well-formed Bearer credential counts', async () => {
  const machine = await testMachine();
  const { accessToken } = await openSession(machine, ada);
  expect((await authenticate(machine, { authorization: `Bearer ${accessToken}` })).account).toBe('acc_ada');
  expect((await authenticate(machine, { authorization: `bearer ${accessToken}` })).account).toBe('acc_ada');
  for (const authorization of [
    accessToken,
    `Basic ${accessToken}`,
    `Bearer`,
    `Bearer `,
    `Bearer ${accessToken} x`,
    `Bearer ${accessToken}, Bearer x`,
    'Bearer \u0000',
    '',
  ]) {
    await expect(authenticate(machine, { authorization })).rejects.toMatchObject({ code: 'invalid-token' });
  }
  await expect(authenticate(machine, {})).rejects.toMatchObject({ code: 'unauthenticated' });
  await expect(authenticate(machine, { cookie: `token=${accessToken}` })).rejects.toMatchObject({ code: 'unauthenticated' });
});

test('an API key is refused with what to do instead, even beside a good token', async () => {
  const machine = await testMachine();
  const { accessToken } = await openSession(machine, ada);
  const refusal = { code: 'unauthenticated', status: 401, message: expect.stringContaining('Bearer') };
  await expect(authenticate(machine, { 'x-api-key': 'lb_live_x' })).rejects.toMatchObject(refusal);
  await expect(authenticate(machine, { 'x-api-key': 'lb_live_x', authorization: `Bearer ${accessToken}` })).rejects.toMatchObject(refusal);
});
