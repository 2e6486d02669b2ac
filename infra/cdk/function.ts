/** Creates a Lambda function with its own code, log group and role. */
import { ArnFormat, type Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Effect, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Architecture, Function as LambdaFunction, RecursiveLoop, Runtime, Tracing } from 'aws-cdk-lib/aws-lambda';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import { acknowledge, registerWildcards } from './acknowledge.ts';
import { codeOf } from './code.ts';
import type { NetworkPlacement } from './network.ts';
import { functionName, type Stage } from './stage.ts';

export type FunctionProps = {
  /** The file `infra/lambda/{entry}.ts`. Also part of the function's name. */
  entry: string;
  description: string;
  memory: number;
  timeout: Duration;
  environment: { [name: string]: string };
  grants: PolicyStatement[];
  /** Where it runs in the stage's network. Undefined: in Lambda's own, with internet access and no way in. */
  network?: NetworkPlacement | undefined;
  /** The function may continue its own work without limit. Lambda stops others after about 16 recursive calls. */
  allowsRecursion?: true;
};

export function lambdaFunction(scope: Construct, stage: Stage, props: FunctionProps): LambdaFunction {
  const name = functionName(stage, props.entry);
  const logGroup = new LogGroup(scope, `${props.entry}-log`, {
    logGroupName: `/aws/lambda/${name}`,
    retention: stage.disposable ? RetentionDays.ONE_DAY : RetentionDays.THREE_MONTHS,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  acknowledge(logGroup, {
    CKV_AWS_158: 'CloudWatch encrypts it with its own key. Logs hold ids and numbers, no personal data and no secrets',
  });
  const role = new Role(scope, `${props.entry}-role`, { assumedBy: new ServicePrincipal('lambda.amazonaws.com') });
  logGroup.grantWrite(role);
  const grants = [...props.grants, ...(props.network ? grantNetwork(scope, name) : [])];
  for (const statement of grants) role.addToPrincipalPolicy(statement);
  registerWildcards(role, props.grants);
  const lambda = new LambdaFunction(scope, props.entry, {
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
    ...(props.allowsRecursion ? { recursiveLoop: RecursiveLoop.ALLOW } : {}),
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
      'IAM cannot restrict X-Ray, dynamodb:ListStreams and network interface actions to resources',
  });
  if (props.network) {
    const policy = role.node.tryFindChild('DefaultPolicy');
    const reason =
      'Lambda creates network interfaces with the role of the function. A Deny stops its code from doing so';
    if (policy) acknowledge(policy, { CKV_AWS_111: reason });
  }
  const ownDeadLetters =
    'Its streams and queues have their own dead letters. The next call does the work of a lost call by bus or schedule';
  acknowledge(lambda, {
    'Serverless-LambdaDLQ': ownDeadLetters,
    CKV_AWS_116: ownDeadLetters,
    CKV_AWS_115:
      'Event source mappings and API Gateway cap concurrency. Reserved concurrency would reduce the pool of the account',
    ...(props.network ? {} : { CKV_AWS_117: 'docs/adr/network.md says where each function runs and why' }),
    CKV_AWS_173: 'The variables are names of resources. Functions read secrets from SSM at run time',
  });
  return lambda;
}

/** Lambda creates network interfaces with the function's role. The Deny keeps these rights from the function's code. */
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
