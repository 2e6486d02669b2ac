/** The two keys of a stage. KMS cannot make a key fit for several regions later, and such a key costs the same, so they are from the start. */
import { CfnOutput, Duration, Fn } from 'aws-cdk-lib';
import { AccountRootPrincipal, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Alias, CfnReplicaKey, type IKey, Key, type KeyProps, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { keepData, resourceName, type Stage, stackName } from './stage.ts';

export type Keys = {
  /** Wraps the keys of accounts. */
  wrapping: IKey;
  /** Signs checkpoints. */
  signing: IKey;
};

const kinds = { wrapping: 'data', signing: 'signing' };

const outputs = { wrapping: 'DataKey', signing: 'SigningKey' };

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
    wrapping: make('DataKey', kinds.wrapping, 'Wraps the account keys', { enableKeyRotation: true }),
    signing: make('SigningKey', kinds.signing, 'Signs the activity checkpoints', {
      keySpec: KeySpec.ECC_NIST_P256,
      keyUsage: KeyUsage.SIGN_VERIFY,
    }),
  };
}

/** The same keys in another region: each opens what the other has wrapped, and is used under the same name. */
export function makeReplicaKeys(scope: Construct, stage: Stage, keys: Keys): void {
  for (const [purpose, kind] of Object.entries(kinds) as [keyof Keys, string][]) {
    const replica = new CfnReplicaKey(scope, purpose, {
      primaryKeyArn: keys[purpose].keyArn,
      description: `Copy of the ${kind} key of ListBackup stage ${stage.name}`,
      keyPolicy: ownersPolicy(),
      pendingWindowInDays: stage.disposable ? 7 : 30,
    });
    replica.applyRemovalPolicy(keepData(stage));
    new Alias(scope, `${purpose}-alias`, {
      aliasName: `alias/${resourceName(stage, kind)}`,
      targetKey: Key.fromKeyArn(scope, `${purpose}-key`, replica.attrArn),
    });
    new CfnOutput(scope, outputs[purpose], { value: replica.attrArn });
  }
}

/** Who may use them is told by the roles, as at home. */
function ownersPolicy(): PolicyDocument {
  return new PolicyDocument({
    statements: [
      new PolicyStatement({ principals: [new AccountRootPrincipal()], actions: ['kms:*'], resources: ['*'] }),
    ],
  });
}

/** Those that the replica stack has made in this region. */
export function adoptKeys(scope: Construct, stage: Stage): Keys {
  const there = (purpose: keyof Keys) =>
    Key.fromKeyArn(
      scope,
      outputs[purpose],
      Fn.getStackOutput(stackName(stage, 'replica-keys'), outputs[purpose]).toString(),
    );
  return { wrapping: there('wrapping'), signing: there('signing') };
}
