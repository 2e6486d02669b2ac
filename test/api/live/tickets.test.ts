import { expect, test } from 'vitest';
import { issueTicket, redeemTicket } from '../../../api/live/tickets.ts';
import { endSession, openSession } from '../../../api/sessions.ts';
import { ada, testPlatform } from '../../support/api.ts';

const holder = { account: ada.accountId, user: ada.userId, session: 'ses_1' };

async function given() {
  const platform = await testPlatform();
  const tokens = await openSession(platform, { ...ada, sessionId: holder.session });
  return { platform, tokens, ...(await issueTicket(platform, { ...holder })) };
}

test('returns the session that the ticket was issued to', async () => {
  const { platform, ticket } = await given();
  expect(await redeemTicket(platform, ticket)).toEqual(holder);
});

test('redeems a ticket once, also for concurrent requests', async () => {
  const { platform, ticket } = await given();
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => redeemTicket(platform, ticket)));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  await expect(redeemTicket(platform, ticket)).rejects.toMatchObject({ code: 'invalid-token' });
});

test('expires a ticket at `expiresAt`, within a minute', async () => {
  for (const [milliseconds, valid] of [
    [-1, true],
    [0, false],
  ] as const) {
    const { platform, ticket, expiresAt } = await given();
    const life = Date.parse(expiresAt) - platform.clock.now;
    expect(life).toBeGreaterThan(58_000);
    expect(life).toBeLessThanOrEqual(60_000);
    platform.clock.now += life + milliseconds;
    const redeemed = redeemTicket(platform, ticket);
    if (valid) expect(await redeemed).toEqual(holder);
    else await expect(redeemed).rejects.toMatchObject({ code: 'invalid-token' });
  }
});

test('rejects a ticket after its session ended', async () => {
  const { platform, ticket, tokens } = await given();
  await endSession(platform, tokens.refreshToken);
  await expect(redeemTicket(platform, ticket)).rejects.toMatchObject({ code: 'invalid-token' });
});

test.for(['', 'x', 'é'.repeat(5000)])('rejects %s as a ticket', async (ticket) => {
  const { platform } = await given();
  await expect(redeemTicket(platform, ticket)).rejects.toMatchObject({ code: 'invalid-token' });
});

test('issues different tickets of 256 bits, and does not store them', async () => {
  const { platform, ticket } = await given();
  const written: unknown[] = [];
  const write: typeof platform.records.write = (writes) => {
    written.push(writes);
    return platform.records.write(writes);
  };
  const watched = { ...platform, records: { ...platform.records, write } };
  const other = await issueTicket(watched, holder);
  expect(Buffer.from(other.ticket, 'base64url')).toHaveLength(32);
  expect(other.ticket).not.toBe(ticket);
  expect(JSON.stringify(written)).not.toContain(other.ticket);
});
