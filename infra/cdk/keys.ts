/** The two keys of a stage. KMS cannot make a key fit for several regions later, and such a key costs the same, so they are from the start. */
import { Duration } from 'aws-cdk-lib';
import { Key, type KeyProps, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { keepData, resourceName, type Stage } from './stage.ts';

export type Keys = {
  /** Wraps the keys of accounts. */
  wrapping: Key;
  /** Signs checkpoints. */
  signing: Key;
};

export function makeKeys(scope: Construct, stage: Stage): Keys {
  const make = (id: string, kind: string, description: string, props: KeyProps) =>
    new Key(scope, id, {
      alias: `alias/${resourceName(stage, kind)}`,
      description: `${description} of ListBackup stage ${stage.name}`,
      multiRegion: true,
      removalPolicy: keepData(stage),
      pendingWindow: Duration.days(stage.disposable ? 7 : 30),
      ...props,
    });
  return {
    wrapping: make('DataKey', 'data', 'Wraps the account keys', { enableKeyRotation: true }),
    signing: make('SigningKey', 'signing', 'Signs the activity checkpoints', {
      keySpec: KeySpec.ECC_NIST_P256,
      keyUsage: KeyUsage.SIGN_VERIFY,
    }),
  };
}
