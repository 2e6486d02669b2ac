import { expect, test } from 'vitest';
import { connectionsOf, updateConnection } from '../../../api/live/connections.ts';
import { takeTurn } from '../../../api/live/turn.ts';
import { account, liveWorld } from './given.ts';

const keepSeconds = 3600;

test('gives the turn to one process and tells it about the others before it ends', async () => {
  const { platform } = await liveWorld();
  const turns = await Promise.all(Array.from({ length: 5 }, () => takeTurn(platform, account, keepSeconds)));
  const [turn, ...others] = turns.filter((taken) => taken !== undefined);
  if (!turn) throw new Error('nobody got the turn');
  expect(others).toEqual([]);
  turn.done = 7;
  expect(await turn.end()).toBe('look');
  expect(await takeTurn(platform, account, keepSeconds)).toBeUndefined();
  expect(await turn.end()).toBe('look');
  expect(await turn.end()).toBe('ended');
  expect(await takeTurn(platform, account, keepSeconds)).toMatchObject({ done: 7, isPositionKnown: true });
});

test('keeps a notification that comes before a renewal', async () => {
  const { platform } = await liveWorld();
  const turn = await takeTurn(platform, account, keepSeconds);
  await takeTurn(platform, account, keepSeconds);
  platform.clock.now += 30_000;
  expect(await turn?.renew()).toBe(true);
  platform.clock.now += 59_000;
  expect(await takeTurn(platform, account, keepSeconds)).toBeUndefined();
  expect(await turn?.end()).toBe('look');
});

test('takes an expired turn over. Its old process can neither renew or end it, nor add a member', async () => {
  const { platform, connect } = await liveWorld();
  await connect('one');
  const [old, expiresAt] = [await takeTurn(platform, account, keepSeconds), platform.now() + 60_000];
  platform.clock.now = expiresAt - 1;
  expect(await takeTurn(platform, account, keepSeconds)).toBeUndefined();
  platform.clock.now = expiresAt;
  const next = await takeTurn(platform, account, keepSeconds);
  expect(next?.isPositionKnown).toBe(false);
  expect(await old?.renew()).toBe(false);
  expect(await old?.end()).toBe('lost');
  const [connection] = await connectionsOf(platform, account);
  if (!connection) throw new Error('the connection is missing');
  expect(await updateConnection(platform, connection, { joined: true }, { joined: false }, old?.id)).toBe(false);
  expect(await updateConnection(platform, connection, { joined: true }, { joined: false }, next?.id)).toBe(true);
});

test('has the turn although the answer to the write was lost and a notification came before the repeat', async () => {
  const { platform } = await liveWorld();
  let lost = 0;
  const records: typeof platform.records = {
    ...platform.records,
    async write(writes) {
      const written = await platform.records.write(writes);
      if (lost++ > 0) return written;
      expect(await takeTurn(platform, account, keepSeconds)).toBeUndefined();
      return false;
    },
  };
  const turn = await takeTurn({ ...platform, records }, account, keepSeconds);
  expect(await turn?.end()).toBe('look');
  expect(await turn?.end()).toBe('ended');
});
