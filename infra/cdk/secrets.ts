/** The secrets a stage needs before its first request, made where they are missing and never replaced. */
import { randomBytes } from 'node:crypto';
import { GetParametersCommand, ParameterAlreadyExists, PutParameterCommand, type SSMClient } from '@aws-sdk/client-ssm';
import type { SecretName } from '../../domain/ports.ts';
import { parameterName, type Stage } from './stage.ts';

const made: SecretName[] = ['jwt-secret', 'jwt-refresh-secret'];

/** 384 random bits each, as SecureString. Answers the names it made. */
export async function makeSecrets(ssm: SSMClient, stage: Stage): Promise<string[]> {
  const names: string[] = [];
  for (const secret of made) {
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

/** The names `makeSecrets` would make. */
export async function missingSecrets(ssm: SSMClient, stage: Stage): Promise<string[]> {
  const { InvalidParameters } = await ssm.send(
    new GetParametersCommand({ Names: made.map((secret) => parameterName(stage, secret)) }),
  );
  return InvalidParameters ?? [];
}

/** Of every secret a stage may have, also those that nobody has set. */
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
