/** Secrets in SSM Parameter Store. Stage `main` has the plain names. Other stages have a folder in the same account. */
import { GetParameterCommand, ParameterNotFound, type SSMClient } from '@aws-sdk/client-ssm';
import { LRUCache } from 'lru-cache';
import type { SecretName, Secrets } from '../../domain/ports.ts';

/** A rotated secret is in use everywhere after this time. */
const cacheMilliseconds = 5 * 60_000;

export function parameterName(stage: string, name: SecretName): string {
  return stage === 'main' ? `/listbackup/${name}` : `/listbackup/${stage}/${name}`;
}

/** `now`: milliseconds since the epoch. */
export function awsSecrets(ssm: () => SSMClient, stage: () => string, now: () => number): Secrets {
  // The cache holds missing secrets too: `cors-origin` is usually not set, and requests ask for it.
  const cache = new LRUCache<SecretName, { value: string | undefined }>({
    max: 100,
    ttl: cacheMilliseconds,
    ttlResolution: 0,
    perf: { now },
    fetchMethod: async (name) => ({ value: await readParameter(ssm(), parameterName(stage(), name)) }),
  });
  return {
    get: async (name) => (await cache.fetch(name))?.value,
  };
}

/** Reads one parameter, because the emulator checks permissions of GetParameters without the names. */
async function readParameter(ssm: SSMClient, Name: string): Promise<string | undefined> {
  try {
    return (await ssm.send(new GetParameterCommand({ Name, WithDecryption: true }))).Parameter?.Value;
  } catch (error) {
    if (error instanceof ParameterNotFound) return undefined;
    throw error;
  }
}
