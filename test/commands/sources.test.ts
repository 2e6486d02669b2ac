import { expect, it } from 'vitest';
import { changeSource } from '../../commands/change-source.ts';
import { connectSource } from '../../commands/connect-source.ts';
import type { CommandContext } from '../../commands/context.ts';
import { createJob } from '../../commands/create-job.ts';
import { getCredentials } from '../../commands/credentials.ts';
import { disconnectSource } from '../../commands/disconnect-source.ts';
import { renameJob } from '../../commands/rename-job.ts';
import type { Platform } from '../../domain/ports.ts';
import { openTestPlatform } from '../support/embedded.ts';

const account = 'acc_1';
const keys = (name: string) => ({ accessKeyId: name, secretAccessKey: 'secret' });
const config = { bucket: 'some-bucket' };
let commands = 0;
const command = (more: Partial<CommandContext> = {}): CommandContext => ({
  account,
  actor: { type: 'user', id: 'usr_1' },
  commandId: `command-${++commands}`,
  correlationId: 'test',
  ...more,
});
const first = { type: 's3', name: 'Bucket', config, credentials: keys('first') };

async function deployment() {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const { platform } = await openTestPlatform({ now: () => clock.now });
  const storedKeyId = async (id: string) => (await getCredentials(platform, account, id))?.accessKeyId;
  return { platform, clock, storedKeyId };
}

it('keeps the credentials when a change is rejected for its version', async () => {
  const { platform, storedKeyId } = await deployment();
  const { id } = await connectSource(platform, command(), first);
  const change = (name: string, ifVersion?: number[]) =>
    changeSource(platform, command({ ifVersion }), id, { name, config, credentials: keys(name) });
  await change('second', [1]);
  await expect(change('third', [1])).rejects.toMatchObject({ code: 'precondition-failed' });
  expect(await storedKeyId(id)).toBe('second');
});

it('keeps the credentials of the later of two concurrent changes, in any order of storage', async () => {
  const { platform, storedKeyId } = await deployment();
  const { id } = await connectSource(platform, command(), first);
  const change = (of: Platform, name: string) =>
    changeSource(of, command(), id, { name, config, credentials: keys(name) });
  // The later change happens between the event and the credentials of the earlier one.
  const write: Platform['records']['write'] = async (writes) => {
    slow.records.write = platform.records.write;
    await change(platform, 'later');
    return platform.records.write(writes);
  };
  const slow: Platform = { ...platform, records: { ...platform.records, write } };
  await change(slow, 'earlier');
  expect(await storedKeyId(id)).toBe('later');
});

it('leaves no credentials after a change concurrent with a disconnect', async () => {
  const { platform, storedKeyId } = await deployment();
  const { id } = await connectSource(platform, command(), first);
  const write: Platform['records']['write'] = async (writes) => {
    slow.records.write = platform.records.write;
    await disconnectSource(platform, command(), id);
    return platform.records.write(writes);
  };
  const slow: Platform = { ...platform, records: { ...platform.records, write } };
  await changeSource(slow, command(), id, { name: 'b', config, credentials: keys('second') });
  expect(await storedKeyId(id)).toBeUndefined();
});

it('deletes the credentials in the repeat of a disconnect that died half-way', async () => {
  const { platform, storedKeyId } = await deployment();
  const { id } = await connectSource(platform, command(), first);
  const write = () => Promise.reject(new Error('it died here'));
  await expect(
    disconnectSource({ ...platform, records: { ...platform.records, write } }, command(), id),
  ).rejects.toThrow('it died here');
  expect(await storedKeyId(id)).toBe('first');
  await expect(disconnectSource(platform, command(), id)).rejects.toMatchObject({ code: 'not-found' });
  expect(await storedKeyId(id)).toBeUndefined();
});

it('keeps newer credentials, or none, when the command that connected the source is repeated', async () => {
  const { platform, storedKeyId } = await deployment();
  const cause = command();
  const { id } = await connectSource(platform, cause, first);
  await changeSource(platform, command(), id, { name: 'b', config, credentials: keys('second') });
  expect((await connectSource(platform, cause, first)).id).toBe(id);
  expect(await storedKeyId(id)).toBe('second');
  await disconnectSource(platform, command(), id);
  await connectSource(platform, cause, first);
  expect(await storedKeyId(id)).toBeUndefined();
});

it('stores the credentials in the repeat of a connect that died half-way', async () => {
  const { platform, storedKeyId } = await deployment();
  const cause = command();
  const append = () => Promise.reject(new Error('it died here'));
  await expect(connectSource({ ...platform, events: { ...platform.events, append } }, cause, first)).rejects.toThrow(
    'it died here',
  );
  const { id } = await connectSource(platform, cause, first);
  expect(await storedKeyId(id)).toBe('first');
});

it('returns the first time and version when a command that created something is repeated', async () => {
  const { platform, clock } = await deployment();
  const [connecting, creating] = [command(), command()];
  const source = await connectSource(platform, connecting, first);
  const job = await createJob(platform, creating, { name: 'a', sourceId: source.id });
  clock.now += 60_000;
  await changeSource(platform, command(), source.id, { name: 'b', config });
  await renameJob(platform, command(), job.id, 'b');
  expect(await connectSource(platform, connecting, first)).toEqual(source);
  expect(await createJob(platform, creating, { name: 'a', sourceId: source.id })).toEqual(job);
});
