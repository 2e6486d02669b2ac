/** Secrets in SSM Parameter Store. Stage `main` has the plain names, another stage in the same account a folder of its own. */
import { GetParameterCommand, ParameterNotFound, type SSMClient } from '@aws-sdk/client-ssm';
import type { SecretName, Secrets } from '../../domain/ports.ts';

/** How long a value is used before it is asked for again: what is rotated is in use everywhere this much later. */
const cachedFor = 5 * 60_000;

export function parameterName(stage: string, name: SecretName): string {
  return stage === 'main' ? `/listbackup/${name}` : `/listbackup/${stage}/${name}`;
}

/** `now`: milliseconds since the epoch. */
export function awsSecrets(ssm: () => SSMClient, stage: () => string, now: () => number): Secrets {
  const cache = new Map<SecretName, { at: number; value: Promise<string | undefined> }>();
  return {
    get(name) {
      const known = cache.get(name);
      if (known && now() - known.at < cachedFor) return known.value;
      const value = read(ssm(), parameterName(stage(), name));
      cache.set(name, { at: now(), value });
      value.catch(() => cache.delete(name));
      return value;
    },
  };
}

/** One by one: what a role may do with GetParameters the emulator cannot judge by the parameters' names. */
async function read(ssm: SSMClient, Name: string): Promise<string | undefined> {
  try {
    return (await ssm.send(new GetParameterCommand({ Name, WithDecryption: true }))).Parameter?.Value;
  } catch (error) {
    if (error instanceof ParameterNotFound) return undefined;
    throw error;
  }
}
