import { SignJWT } from 'jose';
import { expect, test, vi } from 'vitest';
import { endSession, openSession, principalOf, rotateSession } from '../../api/sessions.ts';
import { ada, testPlatform } from '../support/api.ts';

const second = 1_000;
const day = 24 * 60 * 60 * second;
const invalidToken = { code: 'invalid-token' };
const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString());

test('accepts an access token for 15 minutes', async () => {
  const platform = await testPlatform();
  const tokens = await openSession(platform, ada);
  expect(tokens).toMatchObject({ tokenType: 'Bearer', expiresIn: 900 });
  expect(await principalOf(platform, tokens.accessToken)).toMatchObject({
    account: 'acc_ada',
    user: 'usr_ada',
    role: 'owner',
  });
  expect(claimsOf(tokens.accessToken)).toMatchObject({
    sub: 'usr_ada',
    acc: 'acc_ada',
    role: 'owner',
    sid: expect.stringMatching(/^ses_/),
  });
  platform.clock.now += 899 * second;
  await principalOf(platform, tokens.accessToken);
  platform.clock.now += second;
  await expect(principalOf(platform, tokens.accessToken)).rejects.toMatchObject({
    ...invalidToken,
    message: expect.stringContaining('expired'),
  });
});

test('exchanges each refresh token for a pair that works', async () => {
  const platform = await testPlatform();
  const first = await openSession(platform, ada);
  platform.clock.now += 60 * second;
  const next = await rotateSession(platform, first.refreshToken);
  platform.clock.now += 60 * second;
  const third = await rotateSession(platform, next.refreshToken);
  for (const { accessToken } of [first, next, third])
    expect((await principalOf(platform, accessToken)).user).toBe('usr_ada');
});

test('ends the session, with all its tokens, if a refresh token is used again after 10 s', async () => {
  const platform = await testPlatform();
  const other = await openSession(platform, ada);
  const first = await openSession(platform, ada);
  const next = await rotateSession(platform, first.refreshToken);
  platform.clock.now += 10 * second + 1;
  const ended = vi.fn();
  await expect(rotateSession(platform, first.refreshToken, ended)).rejects.toMatchObject(invalidToken);
  expect(ended.mock.calls).toEqual([
    [expect.objectContaining({ account: 'acc_ada', user: 'usr_ada', reason: 'reused' })],
  ]);
  for (const { accessToken, refreshToken } of [first, next]) {
    await expect(principalOf(platform, accessToken)).rejects.toMatchObject(invalidToken);
    await expect(rotateSession(platform, refreshToken, ended)).rejects.toMatchObject(invalidToken);
  }
  expect(ended).toHaveBeenCalledTimes(1);
  await rotateSession(platform, other.refreshToken);
});

test('ends the session at once if a token of an older generation is used again', async () => {
  const platform = await testPlatform();
  const first = await openSession(platform, ada);
  const next = await rotateSession(platform, first.refreshToken);
  const third = await rotateSession(platform, next.refreshToken);
  await expect(rotateSession(platform, first.refreshToken)).rejects.toMatchObject(invalidToken);
  await expect(principalOf(platform, third.accessToken)).rejects.toMatchObject(invalidToken);
});

test('gives concurrent refreshes pairs of one generation, which can be refreshed again', async () => {
  const platform = await testPlatform();
  let tokens = [await openSession(platform, ada)];
  for (let round = 0; round < 3; round++) {
    const used = tokens[0]?.refreshToken ?? '';
    tokens = await Promise.all(Array.from({ length: 50 }, () => rotateSession(platform, used)));
    expect(new Set(tokens.map(({ refreshToken }) => claimsOf(refreshToken).gen))).toEqual(new Set([round + 2]));
    expect(new Set(tokens.map(({ refreshToken }) => refreshToken)).size).toBe(50);
    platform.clock.now += 60 * second;
  }
  const [tab, thief] = tokens;
  await rotateSession(platform, tab?.refreshToken ?? '');
  platform.clock.now += 11 * second;
  await expect(rotateSession(platform, thief?.refreshToken ?? '')).rejects.toMatchObject(invalidToken);
});

test('rejects a refresh that races with a sign-out', async () => {
  const platform = await testPlatform();
  const { refreshToken } = await openSession(platform, ada);
  const { write } = platform.records;
  platform.records.write = async (writes) => {
    platform.records.write = write;
    await endSession(platform, refreshToken);
    return platform.records.write(writes);
  };
  await expect(rotateSession(platform, refreshToken)).rejects.toMatchObject(invalidToken);
  await expect(rotateSession(platform, refreshToken)).rejects.toMatchObject(invalidToken);
});

test('reports the end of a session again if the first report failed', async () => {
  const platform = await testPlatform();
  const { refreshToken } = await openSession(platform, ada);
  const ended = vi.fn();
  ended.mockRejectedValueOnce(new Error('the process died'));
  await expect(endSession(platform, refreshToken, ended)).rejects.toThrow('the process died');
  await expect(rotateSession(platform, refreshToken, ended)).rejects.toMatchObject(invalidToken);
  await endSession(platform, refreshToken, ended);
  expect(ended.mock.calls[1]).toEqual([expect.objectContaining({ account: 'acc_ada', reason: 'signed-out' })]);
});

test('ends a session after 30 idle days, and after 90 days in any case', async () => {
  const platform = await testPlatform();
  const idle = await openSession(platform, ada);
  platform.clock.now += 30 * day;
  await expect(rotateSession(platform, idle.refreshToken)).rejects.toMatchObject(invalidToken);

  let busy = await openSession(platform, ada);
  for (let days = 0; days < 87; days += 29) {
    platform.clock.now += 29 * day;
    busy = await rotateSession(platform, busy.refreshToken);
  }
  platform.clock.now += 3 * day - 60 * second;
  busy = await rotateSession(platform, busy.refreshToken);
  expect(busy.expiresIn).toBe(60);
  platform.clock.now += 60 * second;
  await expect(rotateSession(platform, busy.refreshToken)).rejects.toMatchObject(invalidToken);
  await expect(principalOf(platform, busy.accessToken)).rejects.toMatchObject(invalidToken);
  const { acc, sub, sid } = claimsOf(busy.accessToken);
  expect(await platform.records.get({ pk: `session#${acc}#${sub}`, sk: sid })).toBeUndefined();
});

test('rejects tokens that are forged, of another account or for another purpose', async () => {
  const platform = await testPlatform();
  const { accessToken, refreshToken } = await openSession(platform, ada);
  const claims = claimsOf(accessToken);
  const secret = (await platform.secrets.get('jwt-secret')) ?? '';
  const forge = (more: { alg?: string; typ?: string; key?: string; claims?: object }) =>
    new SignJWT({ ...claims, ...more.claims })
      .setProtectedHeader({ alg: more.alg ?? 'HS256', typ: more.typ ?? 'at+jwt' })
      .sign(Buffer.from(more.key ?? secret));
  const [header, payload, signature] = accessToken.split('.');
  const unsigned = `${Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')}.${payload}.`;
  const otherAccount = Buffer.from(JSON.stringify({ ...claims, acc: 'acc_bob' })).toString('base64url');
  expect((await principalOf(platform, await forge({}))).account).toBe('acc_ada');
  for (const bad of [
    unsigned,
    `${header}.${otherAccount}.${signature}`,
    `${header}.${payload}.`,
    refreshToken,
    await forge({ key: 'c'.repeat(32) }),
    await forge({ alg: 'HS512' }),
    await forge({ typ: 'JWT' }),
    await forge({ claims: { aud: 'listbackup-refresh' } }),
    await forge({ claims: { iss: 'other' } }),
    await forge({ claims: { exp: undefined } }),
    await forge({ claims: { acc: 'acc_bob' } }),
    'garbage',
    '',
  ]) {
    await expect(principalOf(platform, bad)).rejects.toMatchObject(invalidToken);
  }
  await expect(rotateSession(platform, accessToken)).rejects.toMatchObject(invalidToken);
});
