/** The two KMS keys of a stage. Both are multi-region from the start, because KMS cannot convert a key later. */
import { CfnOutput, Duration, Fn } from 'aws-cdk-lib';
import { AccountRootPrincipal, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Alias, CfnReplicaKey, type IKey, Key, type KeyProps, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms';
import type { Construct } from 'constructs';
import { keepData, resourceName, type Stage, stackName } from './stage.ts';

export type Keys = {
  /** Wraps account keys. */
  wrapping: IKey;
  /** Signs checkpoints. */
  signing: IKey;
};

const kinds = { wrapping: 'data', signing: 'signing' };

const outputs = { wrapping: 'DataKey', signing: 'SigningKey' };

export function makeKeys(scope: Construct, stage: Stage): Keys {
  const create = (id: string, kind: string, description: string, props: KeyProps) =>
    new Key(scope, id, {
      alias: `alias/${resourceName(stage, kind)}`,
      description: `${description} of ListBackup stage ${stage.name}`,
      multiRegion: true,
      removalPolicy: keepData(stage),
      pendingWindow: Duration.days(stage.disposable ? 7 : 30),
      ...props,
    });
  return {
    wrapping: create('DataKey', kinds.wrapping, 'Wraps the account keys', { enableKeyRotation: true }),
    signing: create('SigningKey', kinds.signing, 'Signs the activity checkpoints', {
      keySpec: KeySpec.ECC_NIST_P256,
      keyUsage: KeyUsage.SIGN_VERIFY,
    }),
  };
}

/** Replicas of the keys in another region. Each replica unwraps what the primary wrapped, and has the same alias. */
export function makeReplicaKeys(scope: Construct, stage: Stage, keys: Keys): void {
  for (const [purpose, kind] of Object.entries(kinds) as [keyof Keys, string][]) {
    const replica = new CfnReplicaKey(scope, purpose, {
      primaryKeyArn: keys[purpose].keyArn,
      description: `Replica of the ${kind} key of ListBackup stage ${stage.name}`,
      keyPolicy: accountPolicy(),
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

/** Leaves access to the IAM roles of the account, as for the primary keys. */
function accountPolicy(): PolicyDocument {
  return new PolicyDocument({
    statements: [
      new PolicyStatement({ principals: [new AccountRootPrincipal()], actions: ['kms:*'], resources: ['*'] }),
    ],
  });
}

/** After a failover: the replica keys of this region. */
export function adoptKeys(scope: Construct, stage: Stage): Keys {
  const existing = (purpose: keyof Keys) =>
    Key.fromKeyArn(
      scope,
      outputs[purpose],
      Fn.getStackOutput(stackName(stage, 'replica-keys'), outputs[purpose]).toString(),
    );
  return { wrapping: existing('wrapping'), signing: existing('signing') };
}
