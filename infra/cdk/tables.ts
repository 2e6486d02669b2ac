/** The tables of a stage, with the keys from `infra/aws/tables.ts`. */
import {
  AttributeType,
  Billing,
  type ITableV2,
  StreamViewType,
  TableEncryptionV2,
  TableV2,
} from 'aws-cdk-lib/aws-dynamodb';
import type { Construct } from 'constructs';
import { type TableShape, tables } from '../aws/tables.ts';
import { acknowledge } from './acknowledge.ts';
import { denyWritesUnlessWriter } from './fence.ts';
import { keepData, type Stage, tablePrefix } from './stage.ts';

/** Tables of the public contract that no adapter reads yet. */
const further = {
  'oauth-states': { pk: ['pk', 'S'], sk: ['sk', 'S'], expires: true },
  'api-keys': { pk: ['pk', 'S'], sk: ['sk', 'S'], expires: true },
  reports: { pk: ['pk', 'S'], sk: ['sk', 'S'], expires: true },
} as const satisfies { [name: string]: TableShape };

const shapes = { ...tables, ...further };
const types = { S: AttributeType.STRING, N: AttributeType.NUMBER };

/** Destroyed keys must stay destroyed, so this table has no point-in-time recovery. The bucket for keys repairs it. */
const unrecoverable = 'subject-keys';

export type TableName = keyof typeof shapes;
export type Tables = { [name in TableName]: ITableV2 };

export function makeTables(scope: Construct, stage: Stage): Tables {
  // A stream record is only a notification, so keys are enough. Replication needs full images, on every table.
  const replicated = stage.replicaRegions.length > 0;
  const regions = stage.replicationStep === 'streams' ? [] : stage.replicaRegions;
  const entries = Object.entries<TableShape>(shapes).map(([name, shape]) => [
    name,
    new TableV2(scope, `Table-${name}`, {
      tableName: `${tablePrefix(stage)}${name}`,
      partitionKey: { name: shape.pk[0], type: types[shape.pk[1]] },
      sortKey: { name: shape.sk[0], type: types[shape.sk[1]] },
      billing: Billing.onDemand(),
      encryption: TableEncryptionV2.awsManagedKey(),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: name !== unrecoverable },
      deletionProtection: !stage.disposable,
      removalPolicy: keepData(stage),
      ...(shape.expires ? { timeToLiveAttribute: 'expiresAt' } : {}),
      ...(replicated
        ? { dynamoStream: StreamViewType.NEW_AND_OLD_IMAGES }
        : shape.stream
          ? { dynamoStream: StreamViewType.KEYS_ONLY }
          : {}),
      ...(replicated ? denyWritesUnlessWriter(scope, stage, stage.region, name) : {}),
      // Subject keys too: tombstones arrive within seconds, and no replica has point-in-time recovery.
      replicas: regions.map((region) => ({ region, ...denyWritesUnlessWriter(scope, stage, region, name) })),
    }),
  ]);
  const created = Object.fromEntries(entries) as Tables;
  acknowledge(created[unrecoverable], { CKV_AWS_165: 'Destroyed keys must stay destroyed' });
  return created;
}

/** After a failover: the replicas that the core stack of the primary region created here. */
export function adoptTables(scope: Construct, stage: Stage): Tables {
  const entries = Object.entries<TableShape>(shapes).map(([name, shape]) => [
    name,
    TableV2.fromTableAttributes(scope, `Table-${name}`, {
      tableName: `${tablePrefix(stage)}${name}`,
      ...(shape.stream && stage.activityStream ? { tableStreamArn: stage.activityStream } : {}),
    }),
  ]);
  return Object.fromEntries(entries) as Tables;
}
