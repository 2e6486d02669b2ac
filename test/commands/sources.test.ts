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
  const known = async (id: string) => (await getCredentials(platform, account, id))?.accessKeyId;
  return { platform, clock, known };
}

it('a change that is refused for its version leaves the credentials as they were', async () => {
  const { platform, known } = await deployment();
  const { id } = await connectSource(platform, command(), first);
  const change = (name: string, ifVersion?: number[]) =>
    changeSource(platform, command({ ifVersion }), id, { name, config, credentials: keys(name) });
  await change('second', [1]);
  await expect(change('third', [1])).rejects.toMatchObject({ code: 'precondition-failed' });
  expect(await known(id)).toBe('second');
});

it('of two changes at once the credentials of the later stay, whoever stores them last', async () => {
  const { platform, known } = await deployment();
  const { id } = await connectSource(platform, command(), first);
  const change = (of: Platform, name: string) =>
    changeSource(of, command(), id, { name, config, credentials: keys(name) });
  // The other comes between the event of this one and its credentials.
  const write: Platform['records']['write'] = async (writes) => {
    slow.records.write = platform.records.write;
    await change(platform, 'later');
    return platform.records.write(writes);
  };
  const slow: Platform = { ...platform, records: { ...platform.records, write } };
  await change(slow, 'earlier');
  expect(await known(id)).toBe('later');
});

it('a change beside a disconnection leaves no credentials', async () => {
  const { platform, known } = await deployment();
  const { id } = await connectSource(platform, command(), first);
  const write: Platform['records']['write'] = async (writes) => {
    slow.records.write = platform.records.write;
    await disconnectSource(platform, command(), id);
    return platform.records.write(writes);
  };
  const slow: Platform = { ...platform, records: { ...platform.records, write } };
  await changeSource(slow, command(), id, { name: 'b', config, credentials: keys('second') });
  expect(await known(id)).toBeUndefined();
});

it('a disconnection that died before the credentials were gone is finished by its repeat', async () => {
  const { platform, known } = await deployment();
  const { id } = await connectSource(platform, command(), first);
  const write = () => Promise.reject(new Error('it died here'));
  await expect(
    disconnectSource({ ...platform, records: { ...platform.records, write } }, command(), id),
  ).rejects.toThrow('it died here');
  expect(await known(id)).toBe('first');
  await expect(disconnectSource(platform, command(), id)).rejects.toMatchObject({ code: 'not-found' });
  expect(await known(id)).toBeUndefined();
});

it('a source that is connected again by the same command keeps the credentials it was given since, and none once it is disconnected', async () => {
  const { platform, known } = await deployment();
  const cause = command();
  const { id } = await connectSource(platform, cause, first);
  await changeSource(platform, command(), id, { name: 'b', config, credentials: keys('second') });
  expect((await connectSource(platform, cause, first)).id).toBe(id);
  expect(await known(id)).toBe('second');
  await disconnectSource(platform, command(), id);
  await connectSource(platform, cause, first);
  expect(await known(id)).toBeUndefined();
});

it('credentials whose connection died before it was recorded are stored by its repeat', async () => {
  const { platform, known } = await deployment();
  const cause = command();
  const append = () => Promise.reject(new Error('it died here'));
  await expect(connectSource({ ...platform, events: { ...platform.events, append } }, cause, first)).rejects.toThrow(
    'it died here',
  );
  const { id } = await connectSource(platform, cause, first);
  expect(await known(id)).toBe('first');
});

it('what is made again by the same command is what it was at first: its time and its version', async () => {
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
