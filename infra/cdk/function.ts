/** One way to make a function: its code, its own role with nothing but its own log, and what it is told. */
import { ArnFormat, type Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Effect, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Function as LambdaFunction, RecursiveLoop, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { acknowledge, acknowledgeAnyOf } from './acknowledge.ts';
import { codeOf } from './code.ts';
import type { NetworkPlacement } from './network.ts';
import { functionName, type Stage } from './stage.ts';

export type FunctionProps = {
  /** File in infra/lambda without its ending; also the name. */
  entry: string;
  description: string;
  memory: number;
  timeout: Duration;
  environment: { [name: string]: string };
  grants: PolicyStatement[];
  /** Where in the stage's network it runs; undefined: in Lambda's own, which reaches the internet and is reached from nowhere. */
  network?: NetworkPlacement | undefined;
  /** It hands its own work on to itself as often as that takes. Any other is stopped by Lambda after some 16 calls that came of one another. */
  callsItself?: true;
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
  const grants = [...props.grants, ...(props.network ? grantNetwork(scope, name) : [])];
  for (const statement of grants) role.addToPrincipalPolicy(statement);
  acknowledgeAnyOf(role, props.grants);
  const made = new LambdaFunction(scope, props.entry, {
    functionName: name,
    description: props.description,
    code: codeOf(props.entry),
    handler: 'index.handler',
    runtime: Runtime.NODEJS_24_X,
    architecture: Architecture.ARM_64,
    memorySize: props.memory,
    timeout: props.timeout,
    environment: props.environment,
    logGroup,
    role,
    tracing: Tracing.ACTIVE,
    ...(props.callsItself ? { recursiveLoop: RecursiveLoop.ALLOW } : {}),
    ...(props.network
      ? {
          vpc: props.network.vpc,
          vpcSubnets: { subnets: props.network.subnets },
          securityGroups: [props.network.securityGroup],
        }
      : {}),
  });
  acknowledge(role, {
    'AwsSolutions-IAM5[Resource::*]':
      'X-Ray, ListStreams of DynamoDB and the network interfaces that Lambda makes know no resources',
  });
  if (props.network) {
    const policy = role.node.tryFindChild('DefaultPolicy');
    const why =
      'Lambda makes the network interfaces of a function as its role, on any resource; a Deny keeps its code from doing so';
    if (policy) acknowledge(policy, { CKV_AWS_111: why });
  }
  const ownDeadLetters =
    'Streams and queues that it reads have dead letters of their own; what the bus or the clock starts, the next visit makes up for';
  acknowledge(made, {
    'Serverless-LambdaDLQ': ownDeadLetters,
    CKV_AWS_116: ownDeadLetters,
    CKV_AWS_115:
      'Queues and streams are capped at their mapping and the API at its gateway; a reserve would be taken from the account for good',
    ...(props.network ? {} : { CKV_AWS_117: 'Where each function runs, and why, is in docs/adr/network.md' }),
    CKV_AWS_173: 'The variables are names of resources; secrets stay in SSM and are read at run time',
  });
  return made;
}

/** Lambda puts a function in its subnets as the function's role; the code itself, which has the same role, may do nothing of the kind. */
function grantNetwork(scope: Construct, name: string): PolicyStatement[] {
  const interfaces = [
    'CreateNetworkInterface',
    'DeleteNetworkInterface',
    'DescribeNetworkInterfaces',
    'AssignPrivateIpAddresses',
  ];
  const actions = [...interfaces, 'UnassignPrivateIpAddresses', 'DescribeSubnets'].map((action) => `ec2:${action}`);
  const arn = Stack.of(scope).formatArn({
    service: 'lambda',
    resource: 'function',
    resourceName: name,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  return [
    new PolicyStatement({ actions, resources: ['*'] }),
    new PolicyStatement({
      effect: Effect.DENY,
      actions,
      resources: ['*'],
      conditions: { ArnEquals: { 'lambda:SourceFunctionArn': arn } },
    }),
  ];
}
