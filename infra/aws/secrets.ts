/** Secrets in SSM Parameter Store. Stage `main` has the plain names, another stage in the same account a folder of its own. */
import { GetParametersCommand, type SSMClient } from '@aws-sdk/client-ssm';
import type { SecretName, Secrets } from '../../domain/ports.ts';

/** How long a value is used before it is asked for again: what is rotated is in use everywhere this much later. */
const cachedFor = 5 * 60_000;

export function parameterName(stage: string, name: SecretName): string {
  return stage === 'main' ? `/listbackup/${name}` : `/listbackup/${stage}/${name}`;
}

/** `now`: milliseconds since the epoch. Names that are asked for together are fetched together. */
export function awsSecrets(ssm: () => SSMClient, stage: () => string, now: () => number): Secrets {
  const cache = new Map<SecretName, { at: number; value: Promise<string | undefined> }>();
  let asked: { names: Set<SecretName>; values: Promise<Values> } | undefined;

  function fetched(name: SecretName): Promise<Values> {
    if (asked) {
      asked.names.add(name);
      return asked.values;
    }
    const names = new Set([name]);
    // Whoever asks before this goes on is in time for it.
    const values = Promise.resolve().then(() => {
      asked = undefined;
      return read(ssm(), stage(), [...names]);
    });
    asked = { names, values };
    return values;
  }

  return {
    get(name) {
      const known = cache.get(name);
      if (known && now() - known.at < cachedFor) return known.value;
      const value = fetched(name).then((values) => values.get(parameterName(stage(), name)));
      cache.set(name, { at: now(), value });
      value.catch(() => cache.delete(name));
      return value;
    },
  };
}

/** By the parameter's name; what was never set is not there. */
type Values = Map<string | undefined, string | undefined>;

/** SSM takes 10 names at a time, and there are fewer. */
async function read(ssm: SSMClient, stage: string, names: SecretName[]): Promise<Values> {
  const Names = names.map((name) => parameterName(stage, name));
  const { Parameters = [] } = await ssm.send(new GetParametersCommand({ Names, WithDecryption: true }));
  return new Map(Parameters.map(({ Name, Value }) => [Name, Value]));
}
