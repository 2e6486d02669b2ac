/** What a stage has in another region while it is at home elsewhere: copies, and nothing that runs. Tables there are made by the home's stack. */
import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { makeReplicaBuckets } from './buckets.ts';
import type { CoreStack } from './core-stack.ts';
import { makeReplicaKeys } from './keys.ts';
import type { Stage } from './stage.ts';

/** Made before the home's core, whose buckets are copied to these. */
export class ReplicaStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, region: string, props: StackProps) {
    super(scope, id, props);
    makeReplicaBuckets(this, stage, region);
  }
}

/** Made after the home's core, whose keys these are copies of. */
export class ReplicaKeysStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, props: StackProps) {
    super(scope, id, props);
    makeReplicaKeys(this, stage, { wrapping: core.key, signing: core.signingKey });
  }
}
