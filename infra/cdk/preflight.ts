/** Checks before a deployment. Each failed check says what to do. */
import { CloudFormationClient, DescribeStacksCommand } from '@aws-sdk/client-cloudformation';
import {
  DescribeTableCommand,
  DynamoDBClient,
  ResourceNotFoundException,
  type TableDescription,
} from '@aws-sdk/client-dynamodb';
import { HeadBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { GetParametersCommand, SSMClient } from '@aws-sdk/client-ssm';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { type Group, needed } from './deploy-groups.ts';
import { missingSecrets } from './secrets.ts';
import { bucketName, parameterName, type Stage, stackName, tablePrefix } from './stage.ts';
import { type ReplicationStep, replicationSteps } from './stage-options.ts';

export type Target = { account: string; region: string; caller: string };

/** A precondition of the deployment is not met. The message says what to do. */
export class NotReady extends Error {}

/** Returns account, region and caller of the current credentials. Throws `NotReady` without credentials or region. */
export async function findTarget(): Promise<Target> {
  const sts = new STSClient({});
  try {
    const region = await sts.config.region().catch(() => {
      throw new NotReady('No region is set. Set AWS_REGION, for example: export AWS_REGION=eu-central-1');
    });
    const { Account, Arn } = await sts.send(new GetCallerIdentityCommand({})).catch((error: Error) => {
      throw new NotReady(
        `AWS rejected the credentials (${error.name}: ${error.message}). Sign in (aws sso login), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.`,
      );
    });
    if (!Account || !Arn) throw new NotReady('AWS did not name the account. Try again.');
    return { account: Account, region, caller: Arn };
  } finally {
    sts.destroy();
  }
}

/** Throws `NotReady` for the first problem that would make the deployment fail half-way. */
export async function check(stage: Stage, chosen: readonly Group[], target: Target): Promise<void> {
  const s3 = new S3Client({});
  const cloudFormation = new CloudFormationClient({});
  try {
    await checkBootstrap(s3, target);
    for (const group of needed(chosen)) {
      if (!(await deployed(cloudFormation, stackName(stage, group)))) {
        throw new NotReady(
          `${chosen.join(' and ')} needs ${group}, which is not deployed. Run: scripts/deploy.sh ${stage.name} ${group}`,
        );
      }
    }
    if (chosen.includes('core') && !(await deployed(cloudFormation, stackName(stage, 'core'))))
      await checkBucketName(s3, stage);
    const addsReplicas = chosen.includes('core') && stage.replicaRegions.length > 0 && stage.runsIn === stage.region;
    if (addsReplicas) checkReplicationStep(stage, await activityTable(stage));
  } finally {
    s3.destroy();
    cloudFormation.destroy();
  }
}

async function checkBootstrap(s3: S3Client, { account, region }: Target): Promise<void> {
  const bucket = `cdk-hnb659fds-assets-${account}-${region}`;
  const state = await bucketState(s3, bucket, account);
  if (state === 'ours') return;
  if (state === 'missing') {
    throw new NotReady(
      `This account and region are not bootstrapped for CDK. Run once: npx cdk bootstrap aws://${account}/${region}`,
    );
  }
  throw new NotReady(
    `These credentials may not use the bucket ${bucket}, or account ${account} does not own it. Ask the owner of the account for access.`,
  );
}

/** Bucket names are unique across all AWS accounts. */
async function checkBucketName(s3: S3Client, stage: Stage): Promise<void> {
  const bucket = bucketName(stage, 'data');
  const state = await bucketState(s3, bucket);
  if (state === 'missing') return;
  throw new NotReady(
    state === 'ours'
      ? `The bucket ${bucket} still exists from an earlier stage of this name. Delete it, or use other bucket names: LISTBACKUP_SUFFIX=${stage.suffix || 'x'}2`
      : `Another AWS account owns the bucket name ${bucket}. Choose a suffix for bucket names: LISTBACKUP_SUFFIX=acme`,
  );
}

async function activityTable(stage: Stage): Promise<TableDescription | undefined> {
  const dynamo = new DynamoDBClient(stage.region ? { region: stage.region } : {});
  try {
    return (await dynamo.send(new DescribeTableCommand({ TableName: `${tablePrefix(stage)}activity` }))).Table;
  } catch (error) {
    if (error instanceof ResourceNotFoundException) return undefined;
    throw error;
  } finally {
    dynamo.destroy();
  }
}

/**
 * Throws `NotReady` if CloudFormation would refuse this step of turning on replication. `activity` is the deployed
 * table, undefined before the first deployment.
 */
export function checkReplicationStep(
  stage: Stage,
  activity: Pick<TableDescription, 'StreamSpecification' | 'Replicas'> | undefined,
): void {
  const existing = (activity?.Replicas ?? []).map(({ RegionName }) => RegionName);
  const missing = stage.replicaRegions.filter((region) => !existing.includes(region));
  const next: ReplicationStep =
    missing.length === 0
      ? 'closed'
      : activity && activity.StreamSpecification?.StreamViewType !== 'NEW_AND_OLD_IMAGES'
        ? 'streams'
        : 'open';
  if (replicationSteps.indexOf(stage.replicationStep) > replicationSteps.indexOf(next)) {
    throw new NotReady(
      `Replicas in ${missing.join(' and ')} need several deployments. Run LISTBACKUP_REPLICATION_STEP=${next} scripts/deploy.sh ${stage.name} core, then this command again.`,
    );
  }
  if (stage.replicationStep === 'open' && activity && missing.length > 1) {
    throw new NotReady(
      `An existing stage accepts one new replica region at a time. Add ${missing[0]} first, then ${missing[1]}.`,
    );
  }
}

async function bucketState(s3: S3Client, Bucket: string, owner?: string): Promise<'ours' | 'missing' | 'refused'> {
  try {
    await s3.send(new HeadBucketCommand({ Bucket, ...(owner ? { ExpectedBucketOwner: owner } : {}) }));
    return 'ours';
  } catch (error) {
    const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode;
    if (status === 404) return 'missing';
    // 301 and 400: the bucket is in another region.
    if (status === 403 || status === 301 || status === 400) return 'refused';
    throw error;
  }
}

async function deployed(cloudFormation: CloudFormationClient, StackName: string): Promise<boolean> {
  try {
    const { Stacks } = await cloudFormation.send(new DescribeStacksCommand({ StackName }));
    return (
      Stacks?.some(({ StackStatus }) => StackStatus !== 'REVIEW_IN_PROGRESS' && StackStatus !== 'DELETE_COMPLETE') ??
      false
    );
  } catch (error) {
    if (error instanceof Error && error.name === 'ValidationError') return false;
    throw error;
  }
}

/** Returns the names of missing secrets, which the deployment creates, and of optional settings that are not set. */
export async function parameters(stage: Stage): Promise<{ missing: string[]; notSet: string[] }> {
  const ssm = new SSMClient({});
  try {
    const optional = [parameterName(stage, 'cors-origin')];
    const { InvalidParameters } = await ssm.send(new GetParametersCommand({ Names: optional }));
    return { missing: await missingSecrets(ssm, stage), notSet: InvalidParameters ?? [] };
  } finally {
    ssm.destroy();
  }
}
