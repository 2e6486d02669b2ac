/** The emulator harness: it enforces IAM and leaves no process behind. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { DynamoDBClient, ListTablesCommand } from '@aws-sdk/client-dynamodb';
import { expect, inject, it, onTestFinished } from 'vitest';
import { eventually } from '../contract/eventually.ts';
import { startMinistack } from './ministack.ts';

const script = fileURLToPath(new URL('./ministack.ts', import.meta.url));
const answers = (endpoint: string) =>
  fetch(`${endpoint}/_ministack/ready`).then(
    () => true,
    () => false,
  );

it('enforces IAM and refuses an unknown access key', async () => {
  const { endpoint, region } = inject('ministack');
  const list = async (accessKeyId: string) => {
    const client = new DynamoDBClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey: 'test' } });
    return client.send(new ListTablesCommand({})).finally(() => client.destroy());
  };
  await expect(list('AKIAUNKNOWN000000000')).rejects.toMatchObject({ name: 'UnrecognizedClientException' });
  expect((await list('test')).TableNames).toBeDefined();
});

it('runs beside other instances and stops on request', async () => {
  const own = await startMinistack();
  expect(own.endpoint).not.toBe(inject('ministack').endpoint);
  expect(await answers(own.endpoint)).toBe(true);
  await own.stop();
  expect(await answers(own.endpoint)).toBe(false);
  await own.stop();
});

it.each(['SIGTERM', 'SIGKILL'] as const)('ends with the script that started it, also after %s', async (signal) => {
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => {
    text += piece;
  });
  const endpoint = await eventually(async () => {
    const found = /AWS_ENDPOINT_URL=(\S+)/.exec(text)?.[1];
    expect(found).toBeDefined();
    return found ?? '';
  });
  expect(await answers(endpoint)).toBe(true);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await ended;
  await eventually(async () => expect(await answers(endpoint)).toBe(false));
});
