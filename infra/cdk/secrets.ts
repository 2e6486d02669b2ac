/** The secrets that a stage needs before its first request. Missing ones are created, existing ones never replaced. */
import { randomBytes } from 'node:crypto';
import { GetParametersCommand, ParameterAlreadyExists, PutParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import type { SecretName } from '../../domain/ports.ts';
import { parameterName, type Stage } from './stage.ts';

const generated: SecretName[] = ['jwt-secret', 'jwt-refresh-secret'];

/** Creates missing secrets as SecureString, with 384 random bits each. Returns the names of the created ones. */
export async function makeSecrets(ssm: SSMClient, stage: Stage): Promise<string[]> {
  const names: string[] = [];
  for (const secret of generated) {
    const Name = parameterName(stage, secret);
    try {
      await ssm.send(
        new PutParameterCommand({
          Name,
          Type: 'SecureString',
          Value: randomBytes(48).toString('base64url'),
          Overwrite: false,
        }),
      );
      names.push(Name);
    } catch (error) {
      if (!(error instanceof ParameterAlreadyExists)) throw error;
    }
  }
  return names;
}

/** Returns the names that `makeSecrets` would create. */
export async function missingSecrets(ssm: SSMClient, stage: Stage): Promise<string[]> {
  const { InvalidParameters } = await ssm.send(
    new GetParametersCommand({ Names: generated.map((secret) => parameterName(stage, secret)) }),
  );
  return InvalidParameters ?? [];
}

/** Returns the names of all secrets, including optional ones that are not set. */
export function secretNames(stage: Stage): string[] {
  const all: { [name in SecretName]: true } = {
    'jwt-secret': true,
    'jwt-refresh-secret': true,
    'cors-origin': true,
    'ses-from-email': true,
    'openai-api-key': true,
  };
  return (Object.keys(all) as SecretName[]).map((name) => parameterName(stage, name));
}
