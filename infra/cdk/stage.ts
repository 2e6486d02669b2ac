/** A stage is one complete ListBackup in an AWS account. The names of its resources are part of the public contract. */
import { RemovalPolicy } from 'aws-cdk-lib';
import type { SecretName } from '../../domain/ports.ts';
import { type OptionValues, type StageOptions, stageOptions } from './stage-options.ts';

export type Stage = StageOptions & {
  name: string;
  /** Stage `test`: its data is deleted with its stacks, and users need not confirm their e-mail addresses. */
  disposable: boolean;
};

/**
 * `name`: up to 20 lower-case letters, digits and inner hyphens, because bucket names contain it. Throws for an invalid
 * name or option. Missing options get their defaults.
 */
export function stage(name: string, options: OptionValues = () => undefined): Stage {
  if (!/^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$/.test(name)) {
    throw new Error(
      `Stage name "${name}" is invalid. Use up to 20 lower-case letters, digits and inner hyphens, like "main".`,
    );
  }
  return { name, disposable: name === 'test', ...stageOptions(name, options) };
}

export function resourceName(of: Stage, kind: string): string {
  return `listbackup-${kind}-${of.name}`;
}

/** Bucket names are unique across all AWS accounts, hence the optional suffix. */
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

/** Stage `main` has the plain names, every other stage its own folder. */
export function parameterName(of: Stage, name: SecretName | 'cognito-user-pool-id' | 'cognito-client-id'): string {
  return of.name === 'main' ? `/listbackup/${name}` : `/listbackup/${of.name}/${name}`;
}

/** Data survives the deletion of its stack, except in stage `test`. */
export function keepData(of: Stage): RemovalPolicy {
  return of.disposable ? RemovalPolicy.DESTROY : RemovalPolicy.RETAIN;
}
