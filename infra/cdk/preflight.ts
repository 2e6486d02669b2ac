/** What has to be right before anything is deployed, each with what to do when it is not. */
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
import { type Copying, stepsOfCopying } from './stage-options.ts';

export type Target = { account: string; region: string; caller: string };

/** A reason not to deploy; its message says what to do. */
export class NotReady extends Error {}

/** Whose account and which region the credentials at hand lead to. */
export async function whereTo(): Promise<Target> {
  const sts = new STSClient({});
  try {
    const region = await sts.config.region().catch(() => {
      throw new NotReady('No region is set. Set AWS_REGION, like: export AWS_REGION=eu-central-1');
    });
    const { Account, Arn } = await sts.send(new GetCallerIdentityCommand({})).catch((error: Error) => {
      throw new NotReady(
        `AWS does not know who is asking (${error.name}: ${error.message}). Sign in (aws sso login), or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.`,
      );
    });
    if (!Account || !Arn) throw new NotReady('AWS answered without saying which account this is; try again.');
    return { account: Account, region, caller: Arn };
  } finally {
    sts.destroy();
  }
}

/** Throws `NotReady` at the first thing that would make the deployment fail half-way. */
export async function check(stage: Stage, chosen: readonly Group[], target: Target): Promise<void> {
  const s3 = new S3Client({});
  const cloudFormation = new CloudFormationClient({});
  try {
    await bootstrapped(s3, target);
    for (const group of needed(chosen)) {
      if (!(await deployed(cloudFormation, stackName(stage, group)))) {
        throw new NotReady(
          `${chosen.join(' and ')} needs ${group}, which is not deployed: scripts/deploy.sh ${stage.name} ${group}`,
        );
      }
    }
    if (chosen.includes('core') && !(await deployed(cloudFormation, stackName(stage, 'core'))))
      await nameIsFree(s3, stage);
    const makesCopies = chosen.includes('core') && stage.replicaRegions.length > 0 && stage.runsIn === stage.region;
    if (makesCopies) copiesMayBe(stage, await activityTable(stage));
  } finally {
    s3.destroy();
    cloudFormation.destroy();
  }
}

async function bootstrapped(s3: S3Client, { account, region }: Target): Promise<void> {
  const bucket = `cdk-hnb659fds-assets-${account}-${region}`;
  const state = await bucketState(s3, bucket, account);
  if (state === 'ours') return;
  if (state === 'missing') {
    throw new NotReady(
      `This account and region were never prepared for the CDK. Once: npx cdk bootstrap aws://${account}/${region}`,
    );
  }
  throw new NotReady(
    `The bucket ${bucket} may not be used with these credentials, or is not of account ${account}. Ask who owns the account.`,
  );
}

/** Names of buckets belong to whoever in the world was first. */
async function nameIsFree(s3: S3Client, stage: Stage): Promise<void> {
  const bucket = bucketName(stage, 'data');
  const state = await bucketState(s3, bucket);
  if (state === 'missing') return;
  throw new NotReady(
    state === 'ours'
      ? `The bucket ${bucket} is there, left by an earlier stage of this name. Delete it, or take other names: LISTBACKUP_SUFFIX=${stage.suffix || 'x'}2`
      : `The bucket name ${bucket} is taken by somebody else. Choose an ending for the names of buckets: LISTBACKUP_SUFFIX=acme`,
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

/** Throws `NotReady` where CloudFormation would refuse to come so far in one update of these tables. `activity`: as it is now, if it is. */
export function copiesMayBe(
  stage: Stage,
  activity: Pick<TableDescription, 'StreamSpecification' | 'Replicas'> | undefined,
): void {
  const there = (activity?.Replicas ?? []).map(({ RegionName }) => RegionName);
  const missing = stage.replicaRegions.filter((region) => !there.includes(region));
  const next: Copying =
    missing.length === 0
      ? 'closed'
      : activity && activity.StreamSpecification?.StreamViewType !== 'NEW_AND_OLD_IMAGES'
        ? 'streams'
        : 'open';
  if (stepsOfCopying.indexOf(stage.copying) > stepsOfCopying.indexOf(next)) {
    throw new NotReady(
      `Copies in ${missing.join(' and ')} take several deployments. Now: LISTBACKUP_COPYING=${next} scripts/deploy.sh ${stage.name} core; then this again.`,
    );
  }
  if (stage.copying === 'open' && activity && missing.length > 1) {
    throw new NotReady(
      `Copies are added to a stage one region at a time: give ${missing[0]} first, then ${missing[1]} with it.`,
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
    // 301 and 400: it is there, in another region.
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

/** What the stage's parameters lack: secrets that can be made, and settings only a person knows. */
export async function parameters(stage: Stage): Promise<{ toMake: string[]; notSet: string[] }> {
  const ssm = new SSMClient({});
  try {
    const optional = (['cors-origin', 'ses-from-email', 'openai-api-key'] as const).map((name) =>
      parameterName(stage, name),
    );
    const { InvalidParameters } = await ssm.send(new GetParametersCommand({ Names: optional }));
    return { toMake: await missingSecrets(ssm, stage), notSet: InvalidParameters ?? [] };
  } finally {
    ssm.destroy();
  }
}
