import { expect, test } from 'vitest';
import { issueTicket, redeemTicket } from '../../../api/live/tickets.ts';
import { endSession, openSession } from '../../../api/sessions.ts';
import { ada, testMachine } from '../../support/api.ts';

const holder = { account: ada.accountId, user: ada.userId, session: 'ses_1' };

async function given() {
  const machine = await testMachine();
  const tokens = await openSession(machine, { ...ada, sessionId: holder.session });
  return { machine, tokens, ...(await issueTicket(machine, { ...holder })) };
}

test('a ticket tells whose it is', async () => {
  const { machine, ticket } = await given();
  expect(await redeemTicket(machine, ticket)).toEqual(holder);
});

test('a ticket is good once, also when many come with it at the same time', async () => {
  const { machine, ticket } = await given();
  const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => redeemTicket(machine, ticket)));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  await expect(redeemTicket(machine, ticket)).rejects.toMatchObject({ code: 'invalid-token' });
});

test('a ticket is good until the time it says, at most a minute', async () => {
  for (const [milliseconds, good] of [
    [-1, true],
    [0, false],
  ] as const) {
    const { machine, ticket, expiresAt } = await given();
    const life = Date.parse(expiresAt) - machine.clock.now;
    expect(life).toBeGreaterThan(58_000);
    expect(life).toBeLessThanOrEqual(60_000);
    machine.clock.now += life + milliseconds;
    const redeemed = redeemTicket(machine, ticket);
    if (good) expect(await redeemed).toEqual(holder);
    else await expect(redeemed).rejects.toMatchObject({ code: 'invalid-token' });
  }
});

test('a ticket ends with its session', async () => {
  const { machine, ticket, tokens } = await given();
  await endSession(machine, tokens.refreshToken);
  await expect(redeemTicket(machine, ticket)).rejects.toMatchObject({ code: 'invalid-token' });
});

test.for(['', 'x', 'é'.repeat(5000)])('%s is no ticket', async (ticket) => {
  const { machine } = await given();
  await expect(redeemTicket(machine, ticket)).rejects.toMatchObject({ code: 'invalid-token' });
});

test('two tickets differ in 256 bits, and what is stored opens nothing', async () => {
  const { machine, ticket } = await given();
  const written: unknown[] = [];
  const write: typeof machine.records.write = (writes) => {
    written.push(writes);
    return machine.records.write(writes);
  };
  const watched = { ...machine, records: { ...machine.records, write } };
  const other = await issueTicket(watched, holder);
  expect(Buffer.from(other.ticket, 'base64url')).toHaveLength(32);
  expect(other.ticket).not.toBe(ticket);
  expect(JSON.stringify(written)).not.toContain(other.ticket);
});
