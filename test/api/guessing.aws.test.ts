/** The limit on failed sign-ins, counted in DynamoDB by two processes at the same time. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { limitGuesses } from '../../api/guessing.ts';
import type { Problem } from '../../domain/errors.ts';
import { type AwsPlatform, openAws } from '../../infra/aws/platform.ts';
import { makeStage, ministackClients } from '../emulator/aws-resources.ts';

let platforms: AwsPlatform[];
beforeAll(async () => {
  const clients = ministackClients();
  const stage = await makeStage(clients);
  clients.close();
  // A fixed time, so that the test never crosses the end of a window.
  const now = Date.now();
  platforms = [openAws(stage), openAws(stage)].map((platform) => ({ ...platform, now: () => now }));
});
afterAll(() => {
  for (const platform of platforms) platform.close();
});

test('allows 10 wrong passwords per address and 50 in total, and exempts an address that signed in before', async () => {
  let turn = 0;
  const guess = (address: string, right = false) => {
    turn += 1;
    const platform = platforms[turn % 2] as AwsPlatform;
    const signedIn = {
      outcome: 'signed-in',
      userId: 'usr_1',
      accountId: 'acc_1',
      email: 'a@example.org',
      name: 'A',
    } as const;
    const attempt = async () => (right ? signedIn : ({ outcome: 'refused' } as const));
    return limitGuesses(platform, { email: 'a@example.org', address, scale: 1 }, attempt).then(
      ({ outcome }) => outcome as string,
      ({ code }: Problem) => code as string,
    );
  };
  const outcomes = async (times: number, address: (index: number) => string) => {
    const all = await Promise.all(Array.from({ length: times }, (_, index) => guess(address(index))));
    return Object.fromEntries(
      Object.entries(Object.groupBy(all, (outcome) => outcome)).map(([outcome, some]) => [outcome, some?.length]),
    );
  };
  expect(await guess('203.0.113.1', true)).toBe('signed-in');
  expect(await outcomes(15, () => '192.0.2.1')).toEqual({ refused: 10, 'rate-limited': 5 });
  expect(await guess('192.0.2.1', true)).toBe('rate-limited');
  expect(await outcomes(45, (index) => `198.51.100.${index}`)).toEqual({ refused: 40, 'rate-limited': 5 });
  expect(await guess('203.0.113.2', true)).toBe('rate-limited');
  expect(await guess('203.0.113.1', true)).toBe('signed-in');
});
