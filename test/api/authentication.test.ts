import { expect, test } from 'vitest';
import { authenticate } from '../../api/authentication.ts';
import { openSession } from '../../api/sessions.ts';
import { ada, testPlatform } from '../support/api.ts';

test('accepts exactly one well-formed Bearer credential', async () => {
  const platform = await testPlatform();
  const { accessToken } = await openSession(platform, ada);
  expect((await authenticate(platform, { authorization: `Bearer ${accessToken}` })).account).toBe('acc_ada');
  expect((await authenticate(platform, { authorization: `bearer ${accessToken}` })).account).toBe('acc_ada');
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
    await expect(authenticate(platform, { authorization })).rejects.toMatchObject({ code: 'invalid-token' });
  }
  await expect(authenticate(platform, {})).rejects.toMatchObject({ code: 'unauthenticated' });
  await expect(authenticate(platform, { cookie: `token=${accessToken}` })).rejects.toMatchObject({
    code: 'unauthenticated',
  });
});

test('rejects an API key and names the alternative, even beside a valid token', async () => {
  const platform = await testPlatform();
  const { accessToken } = await openSession(platform, ada);
  const problem = { code: 'unauthenticated', status: 401, message: expect.stringContaining('Bearer') };
  await expect(authenticate(platform, { 'x-api-key': 'lb_live_x' })).rejects.toMatchObject(problem);
  await expect(
    authenticate(platform, { 'x-api-key': 'lb_live_x', authorization: `Bearer ${accessToken}` }),
  ).rejects.toMatchObject(problem);
});
