/**
 * One writer region. DynamoDB's copies take writes in every region and let the last one win, which would break a stream of the activity
 * without anyone noticing. So the tables and the bucket of every other region are closed to everyone but the copying itself, by
 * policies of their own: no role, the account's owner included, writes there before the fence is moved (docs/recovery.md).
 */
import { Stack } from 'aws-cdk-lib';
import { AnyPrincipal, Effect, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Bucket } from 'aws-cdk-lib/aws-s3';
import type { Construct } from 'constructs';
import { type Stage, tablePrefix } from './stage.ts';

const writes = [
  'PutItem',
  'UpdateItem',
  'DeleteItem',
  'BatchWriteItem',
  'PartiQLInsert',
  'PartiQLUpdate',
  'PartiQLDelete',
];

/** The policy of a table in that region, as a property for it; none where writing is open. */
export function closedUnlessWriter(
  scope: Construct,
  stage: Stage,
  region: string | undefined,
  table: string,
): { resourcePolicy?: PolicyDocument } {
  // CloudFormation cannot make a copy and close it at once; nothing writes there meanwhile, since nothing runs.
  if (region === undefined || region === stage.writerRegion || stage.copying !== 'closed') return {};
  const stack = Stack.of(scope);
  const copier = stack.formatArn({
    service: 'iam',
    region: '',
    resource: 'role',
    resourceName: 'aws-service-role/replication.dynamodb.amazonaws.com/AWSServiceRoleForDynamoDBReplication',
  });
  const deny = new PolicyStatement({
    effect: Effect.DENY,
    principals: [new AnyPrincipal()],
    actions: writes.map((action) => `dynamodb:${action}`),
    resources: [
      stack.formatArn({
        service: 'dynamodb',
        region,
        resource: 'table',
        resourceName: `${tablePrefix(stage)}${table}`,
      }),
    ],
    // Copying stops, for good after 20 hours, where its role is refused; rows that expire are deleted by the service itself.
    conditions: { ArnNotEquals: { 'aws:PrincipalArn': copier }, Bool: { 'aws:PrincipalIsAWSService': 'false' } },
  });
  return { resourcePolicy: new PolicyDocument({ statements: [deny] }) };
}

/** Copies come by another action than `PutObject`; what expires is deleted by S3 itself. */
export function closeBucketUnlessWriter(stage: Stage, region: string, bucket: Bucket): void {
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
