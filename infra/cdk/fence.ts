/**
 * The fence: only one region accepts writes. DynamoDB replicas accept writes in every region and the last one wins,
 * which would silently break streams of the activity. So resource policies deny all writes in the other regions, except
 * for replication. They bind every role and the owner of the account until the fence moves (docs/recovery.md).
 */
import { Stack } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { type Stage, tablePrefix } from './stage.ts';

const writeActions = [
  'PutItem',
  'UpdateItem',
  'DeleteItem',
  'BatchWriteItem',
  'PartiQLInsert',
  'PartiQLUpdate',
  'PartiQLDelete',
];

/** Returns the resource policy of a table in `region` as a property. Empty where writes are allowed. */
export function denyWritesUnlessWriter(
  scope: Construct,
  stage: Stage,
  region: string | undefined,
  table: string,
): { resourcePolicy?: PolicyDocument } {
  // CloudFormation cannot create a replica with a policy in one update. Nothing runs in that region in between.
  if (region === undefined || region === stage.writerRegion || stage.replicationStep !== 'closed') return {};
  const stack = Stack.of(scope);
  const replicator = stack.formatArn({
    service: 'iam',
    region: '',
    resource: 'role',
    resourceName: 'aws-service-role/replication.dynamodb.amazonaws.com/AWSServiceRoleForDynamoDBReplication',
  });
  const deny = new PolicyStatement({
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: writeActions.map((action) => `dynamodb:${action}`),
    resources: [
      stack.formatArn({
        service: 'dynamodb',
        region,
        resource: 'table',
        resourceName: `${tablePrefix(stage)}${table}`,
      }),
    ],
    // Denying the replication role stops replication, permanently after 20 hours. TTL deletions are a service call.
    conditions: { ArnNotEquals: { 'aws:PrincipalArn': replicator }, Bool: { 'aws:PrincipalIsAWSService': 'false' } },
  });
  return { resourcePolicy: new PolicyDocument({ statements: [deny] }) };
}

/** Replication does not use `PutObject`, and lifecycle rules do not use `DeleteObject`, so both continue. */
export function denyBucketWritesUnlessWriter(stage: Stage, region: string, bucket: Bucket): void {
  if (region === stage.writerRegion) return;
  bucket.addToResourcePolicy(
    new PolicyStatement({
      effect: Effect.DENY,
      principals: [new AnyPrincipal()],
      actions: ['s3:PutObject', 's3:DeleteObject', 's3:DeleteObjectVersion'],
      resources: [bucket.arnForObjects('*')],
    }),
  );
}
