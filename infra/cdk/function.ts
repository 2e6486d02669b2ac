/** One way to make a function: its code, its own role with nothing but its own log, and what it is told. */
import { fileURLToPath } from 'node:url';
import { type Duration, RemovalPolicy } from 'aws-cdk-lib';
import { type PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, type Function as LambdaFunction, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { type BundlingOptions, NodejsFunction, OutputFormat } from 'aws-cdk-lib/aws-lambda-nodejs';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { acknowledge, acknowledgeAnyOf } from './acknowledge.ts';
import { functionName, type Stage } from './stage.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Some packages are CommonJS inside and call require, which modules do not have. */
export const requireBanner = "import{createRequire as __cr}from'node:module';const require=__cr(import.meta.url);";

export type FunctionProps = {
  /** File in infra/lambda without its ending; also the name. */
  entry: string;
  description: string;
  memory: number;
  timeout: Duration;
  environment: { [name: string]: string };
  grants: PolicyStatement[];
  bundling?: Pick<BundlingOptions, 'externalModules' | 'commandHooks'>;
};

export function lambdaFunction(scope: Construct, stage: Stage, props: FunctionProps): LambdaFunction {
  const name = functionName(stage, props.entry);
  const logGroup = new LogGroup(scope, `${props.entry}-log`, {
    logGroupName: `/aws/lambda/${name}`,
    retention: stage.disposable ? RetentionDays.ONE_DAY : RetentionDays.THREE_MONTHS,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  acknowledge(logGroup, {
    CKV_AWS_158: 'CloudWatch encrypts it with its own key; logs hold ids and numbers, no personal data and no secrets',
  });
  const role = new Role(scope, `${props.entry}-role`, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
  logGroup.grantWrite(role);
  for (const statement of props.grants) role.addToPrincipalPolicy(statement);
  acknowledgeAnyOf(role, props.grants);
  const made = new NodejsFunction(scope, props.entry, {
    functionName: name,
    description: props.description,
    entry: `${root}infra/lambda/${props.entry}.ts`,
    projectRoot: root,
    depsLockFilePath: `${root}package-lock.json`,
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    memorySize: props.memory,
    timeout: props.timeout,
    environment: props.environment,
    logGroup,
    role,
    tracing: Tracing.ACTIVE,
    bundling: {
      format: OutputFormat.ESM,
      target: 'node24',
      minify: true,
      mainFields: ['module', 'main'],
      // The SDK goes in too: the version that was tested, and one file loads faster than the runtime's tree of modules.
      externalModules: [],
      bundleAwsSDK: true,
      ...props.bundling,
      banner: requireBanner,
    },
  });
  acknowledge(role, { 'AwsSolutions-IAM5[Resource::*]': 'X-Ray, and ListStreams of DynamoDB, know no resources' });
  const ownDeadLetters =
    'Streams and queues that it reads have dead letters of their own; what the bus or the clock starts, the next visit makes up for';
  acknowledge(made, {
    'Serverless-LambdaDLQ': ownDeadLetters,
    CKV_AWS_116: ownDeadLetters,
    CKV_AWS_115:
      'Queues and streams are capped at their mapping and the API at its gateway; a reserve would be taken from the account for good',
    CKV_AWS_173: 'The variables are names of resources; secrets stay in SSM and are read at run time',
  });
  return made;
}
