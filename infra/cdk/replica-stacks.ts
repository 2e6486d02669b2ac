/** The stacks of a replica region: buckets and keys. Nothing runs there. The core stack creates the table replicas. */
import { Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { makeReplicaBuckets } from './buckets.ts';
import type { CoreStack } from './core-stack.ts';
import { makeReplicaKeys } from './keys.ts';
import type { Stage } from './stage.ts';

/** Deployed before the core stack, which replicates its buckets to these. */
export class ReplicaStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, region: string, props: StackProps) {
    super(scope, id, props);
    makeReplicaBuckets(this, stage, region);
  }
}

/** Deployed after the core stack, whose keys it replicates. */
export class ReplicaKeysStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, props: StackProps) {
    super(scope, id, props);
    makeReplicaKeys(this, stage, { wrapping: core.key, signing: core.signingKey });
  }
}
