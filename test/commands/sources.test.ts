import { expect, it } from 'vitest';
import { changeSource } from '../../commands/change-source.ts';
import { connectSource } from '../../commands/connect-source.ts';
import type { CommandContext } from '../../commands/context.ts';
import { createJob } from '../../commands/create-job.ts';
import { getCredentials } from '../../commands/credentials.ts';
import { disconnectSource } from '../../commands/disconnect-source.ts';
import { renameJob } from '../../commands/rename-job.ts';
import type { Machine } from '../../domain/ports.ts';
import { openTestHome } from '../support/embedded.ts';

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

async function home() {
  const clock = { now: Date.UTC(2026, 0, 1) };
  const { machine } = await openTestHome({ now: () => clock.now });
  const known = async (id: string) => (await getCredentials(machine, account, id))?.accessKeyId;
  return { machine, clock, known };
}

it('a change that is refused for its version leaves the credentials as they were', async () => {
  const { machine, known } = await home();
  const { id } = await connectSource(machine, command(), first);
  const change = (name: string, ifVersion?: number[]) =>
    changeSource(machine, command({ ifVersion }), id, { name, config, credentials: keys(name) });
  await change('second', [1]);
  await expect(change('third', [1])).rejects.toMatchObject({ code: 'precondition-failed' });
  expect(await known(id)).toBe('second');
});

it('of two changes at once the credentials of the later stay, whoever stores them last', async () => {
  const { machine, known } = await home();
  const { id } = await connectSource(machine, command(), first);
  const change = (of: Machine, name: string) => changeSource(of, command(), id, { name, config, credentials: keys(name) });
  // The other comes between the event of this one and its credentials.
  const write: Machine['records']['write'] = async (writes) => {
    slow.records.write = machine.records.write;
    await change(machine, 'later');
    return machine.records.write(writes);
  };
  const slow: Machine = { ...machine, records: { ...machine.records, write } };
  await change(slow, 'earlier');
  expect(await known(id)).toBe('later');
});

it('a change beside a disconnection leaves no credentials', async () => {
  const { machine, known } = await home();
  const { id } = await connectSource(machine, command(), first);
  const write: Machine['records']['write'] = async (writes) => {
    slow.records.write = machine.records.write;
    await disconnectSource(machine, command(), id);
    return machine.records.write(writes);
  };
  const slow: Machine = { ...machine, records: { ...machine.records, write } };
  await changeSource(slow, command(), id, { name: 'b', config, credentials: keys('second') });
  expect(await known(id)).toBeUndefined();
});

it('a disconnection that died before the credentials were gone is finished by its repeat', async () => {
  const { machine, known } = await home();
  const { id } = await connectSource(machine, command(), first);
  const write = () => Promise.reject(new Error('it died here'));
  await expect(disconnectSource({ ...machine, records: { ...machine.records, write } }, command(), id)).rejects.toThrow('it died here');
  expect(await known(id)).toBe('first');
  await expect(disconnectSource(machine, command(), id)).rejects.toMatchObject({ code: 'not-found' });
  expect(await known(id)).toBeUndefined();
});

it('a source that is connected again by the same command keeps the credentials it was given since, and none once it is disconnected', async () => {
  const { machine, known } = await home();
  const cause = command();
  const { id } = await connectSource(machine, cause, first);
  await changeSource(machine, command(), id, { name: 'b', config, credentials: keys('second') });
  expect((await connectSource(machine, cause, first)).id).toBe(id);
  expect(await known(id)).toBe('second');
  await disconnectSource(machine, command(), id);
  await connectSource(machine, cause, first);
  expect(await known(id)).toBeUndefined();
});

it('credentials whose connection died before it was recorded are stored by its repeat', async () => {
  const { machine, known } = await home();
  const cause = command();
  const append = () => Promise.reject(new Error('it died here'));
  await expect(connectSource({ ...machine, events: { ...machine.events, append } }, cause, first)).rejects.toThrow('it died here');
  const { id } = await connectSource(machine, cause, first);
  expect(await known(id)).toBe('first');
});

it('what is made again by the same command is what it was at first: its time and its version', async () => {
  const { machine, clock } = await home();
  const [connecting, creating] = [command(), command()];
  const source = await connectSource(machine, connecting, first);
  const job = await createJob(machine, creating, { name: 'a', sourceId: source.id });
  clock.now += 60_000;
  await changeSource(machine, command(), source.id, { name: 'b', config });
  await renameJob(machine, command(), job.id, 'b');
  expect(await connectSource(machine, connecting, first)).toEqual(source);
  expect(await createJob(machine, creating, { name: 'a', sourceId: source.id })).toEqual(job);
});
