/** The tables of a stage, as `infra/aws/tables.ts` tells their keys. */
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
import { closedUnlessWriter } from './fence.ts';
import { keepData, type Stage, tablePrefix } from './stage.ts';

/** The tables of the public contract that no adapter reads yet. */
const further = {
  'oauth-states': { pk: ['pk', 'S'], sk: ['sk', 'S'], expires: true },
  'api-keys': { pk: ['pk', 'S'], sk: ['sk', 'S'], expires: true },
  reports: { pk: ['pk', 'S'], sk: ['sk', 'S'], expires: true },
} as const satisfies { [name: string]: TableShape };

const shapes = { ...tables, ...further };
const types = { S: AttributeType.STRING, N: AttributeType.NUMBER };

/** What is destroyed here has to stay destroyed, so there is no going back to an earlier point in time. */
const forgetting = 'subject-keys';

export type TableName = keyof typeof shapes;
export type Tables = { [name in TableName]: ITableV2 };

export function makeTables(scope: Construct, stage: Stage): Tables {
  // A record is a wake-up, no more: the table is the truth, so the stream carries keys and no bodies. Only what is copied to other
  // regions needs bodies on its stream, which DynamoDB copies from, and needs one for each table.
  const copied = stage.replicaRegions.length > 0;
  const regions = stage.copying === 'streams' ? [] : stage.replicaRegions;
  const entries = Object.entries<TableShape>(shapes).map(([name, shape]) => [
    name,
    new TableV2(scope, `Table-${name}`, {
      tableName: `${tablePrefix(stage)}${name}`,
      partitionKey: { name: shape.pk[0], type: types[shape.pk[1]] },
      sortKey: { name: shape.sk[0], type: types[shape.sk[1]] },
      billing: Billing.onDemand(),
      encryption: TableEncryptionV2.awsManagedKey(),
      pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: name !== forgetting },
      deletionProtection: !stage.disposable,
      removalPolicy: keepData(stage),
      ...(shape.expires ? { timeToLiveAttribute: 'expiresAt' } : {}),
      ...(copied
        ? { dynamoStream: StreamViewType.NEW_AND_OLD_IMAGES }
        : shape.stream
          ? { dynamoStream: StreamViewType.KEYS_ONLY }
          : {}),
      ...(copied ? closedUnlessWriter(scope, stage, stage.region, name) : {}),
      // Subject keys too: their tombstones arrive there within seconds, and no copy of them can go back in time.
      replicas: regions.map((region) => ({ region, ...closedUnlessWriter(scope, stage, region, name) })),
    }),
  ]);
  const made = Object.fromEntries(entries) as Tables;
  acknowledge(made[forgetting], { CKV_AWS_165: 'What is destroyed there has to stay destroyed' });
  return made;
}

/** The copies that the home's stack has made in this region. */
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
