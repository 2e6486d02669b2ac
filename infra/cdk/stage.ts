/** A stage: one complete ListBackup in an AWS account, and what its resources are called. The names are part of the public contract. */
import { RemovalPolicy } from 'aws-cdk-lib';
import type { SecretName } from '../../domain/ports.ts';
import { type StageOptions, stageOptions, type Told } from './stage-options.ts';

export type Stage = StageOptions & {
  name: string;
  /** Stage `test` holds nothing worth keeping: it is deleted as a whole, and users need not confirm their e-mail addresses. */
  disposable: boolean;
};

/** Lower-case letters, digits and inner hyphens, ≤ 20 characters: it is part of a bucket's name. Options that are not told have their defaults. */
export function stage(name: string, told: Told = () => undefined): Stage {
  if (!/^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$/.test(name)) {
    throw new Error(
      `STAGE "${name}" cannot be used: take up to 20 lower-case letters, digits and inner hyphens, like "main"`,
    );
  }
  return { name, disposable: name === 'test', ...stageOptions(name, told) };
}

export function resourceName(of: Stage, kind: string): string {
  return `listbackup-${kind}-${of.name}`;
}

/** All of AWS shares one space of names for buckets. */
export function bucketName(of: Stage, kind: string, region?: string): string {
  return [resourceName(of, kind), region, of.suffix].filter(Boolean).join('-');
}

export function tablePrefix(of: Stage): string {
  return `listbackup-${of.name}-`;
}

export function stackName(of: Stage, group: string): string {
  return `listbackup-${of.name}-${group}`;
}

export function functionName(of: Stage, purpose: string): string {
  return `listbackup-${of.name}-${purpose}`;
}

/** Stage `main` has the plain names; another stage in the same account a folder of its own. */
export function parameterName(of: Stage, name: SecretName | 'cognito-user-pool-id' | 'cognito-client-id'): string {
  return of.name === 'main' ? `/listbackup/${name}` : `/listbackup/${of.name}/${name}`;
}

/** What becomes of data when its stack goes. */
export function keepData(of: Stage): RemovalPolicy {
  return of.disposable ? RemovalPolicy.DESTROY : RemovalPolicy.RETAIN;
}
