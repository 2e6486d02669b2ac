import type { GetParametersCommand, SSMClient } from '@aws-sdk/client-ssm';
import { expect, test } from 'vitest';
import { awsSecrets } from '../../../infra/aws/secrets.ts';

/** SSM with those parameters, which notes what it was asked for. */
function parameters(stored: { [name: string]: string }) {
  const asked: string[][] = [];
  let failing = false;
  let time = 0;
  const send = async ({ input }: GetParametersCommand) => {
    const names = input.Names ?? [];
    asked.push(names);
    if (failing) throw new Error('throttled');
    expect(input.WithDecryption).toBe(true);
    return { Parameters: names.filter((name) => name in stored).map((Name) => ({ Name, Value: stored[Name] })) };
  };
  const secrets = awsSecrets(
    () => ({ send }) as unknown as SSMClient,
    () => 'test',
    () => time,
  );
  const fail = (now: boolean) => {
    failing = now;
  };
  const pass = (milliseconds: number) => {
    time += milliseconds;
  };
  return { secrets, asked, stored, fail, pass };
}

test('names asked for together are fetched together, and what was never set is undefined', async () => {
  const { secrets, asked } = parameters({ '/listbackup/test/jwt-secret': 'one', '/listbackup/test/jwt-refresh-secret': 'two' });
  const values = await Promise.all([secrets.get('jwt-secret'), secrets.get('jwt-refresh-secret'), secrets.get('cors-origin')]);
  expect(values).toEqual(['one', 'two', undefined]);
  expect(asked).toEqual([['/listbackup/test/jwt-secret', '/listbackup/test/jwt-refresh-secret', '/listbackup/test/cors-origin']]);
  expect([await secrets.get('jwt-secret'), await secrets.get('cors-origin')]).toEqual(['one', undefined]);
  expect(asked).toHaveLength(1);
});

test('a name asked for later is fetched by itself, and one that has aged is fetched anew', async () => {
  const { secrets, asked, stored, pass } = parameters({ '/listbackup/test/jwt-secret': 'one' });
  expect(await secrets.get('jwt-secret')).toBe('one');
  expect(await secrets.get('cors-origin')).toBeUndefined();
  stored['/listbackup/test/jwt-secret'] = 'rotated';
  pass(5 * 60_000 - 1);
  expect(await secrets.get('jwt-secret')).toBe('one');
  pass(1);
  expect(await secrets.get('jwt-secret')).toBe('rotated');
  expect(asked.map((names) => names.length)).toEqual([1, 1, 1]);
});

test('a failure is everyone’s who asked, and is not kept', async () => {
  const { secrets, fail } = parameters({ '/listbackup/test/jwt-secret': 'one' });
  fail(true);
  const both = await Promise.allSettled([secrets.get('jwt-secret'), secrets.get('cors-origin')]);
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  fail(false);
  expect(await secrets.get('jwt-secret')).toBe('one');
});
