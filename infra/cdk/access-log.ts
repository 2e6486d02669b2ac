/**
 * The access logs of both APIs: one line of JSON a request, without personal data. No address, no agent, no query (tickets), and no path
 * either, since a download's holds its token: `requestId` leads to the line of the application, which names the route.
 */
import { RemovalPolicy } from 'aws-cdk-lib';
import { AccessLogFormat, CfnAccount } from 'aws-cdk-lib/aws-apigateway';
import { type IAccessLogSettings, LogGroupLogDestination } from 'aws-cdk-lib/aws-apigatewayv2';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct, IDependable } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { resourceName, type Stage } from './stage.ts';

const every = ['requestId', 'requestTimeEpoch', 'status', 'error.responseType', 'integrationErrorMessage'];
const fields = {
  api: [
    ...every,
    'httpMethod',
    'protocol',
    'responseLength',
    'responseLatency',
    'integrationLatency',
    'integrationStatus',
  ],
  live: [...every, 'eventType', 'connectionId', 'integrationLatency', 'integrationStatus'],
};

export function accessLog(scope: Construct, stage: Stage, api: keyof typeof fields): IAccessLogSettings {
  const group = new LogGroup(scope, `${api}-access`, {
    // Names that begin so get round a limit on the length of the policy under which the gateways of an account may write logs.
    logGroupName: `/aws/vendedlogs/${resourceName(stage, `${api}-access`)}`,
    retention: stage.disposable ? RetentionDays.ONE_DAY : RetentionDays.THREE_MONTHS,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  acknowledge(group, { CKV_AWS_158: 'CloudWatch encrypts it with its own key; there is no personal data in it' });
  const line = Object.fromEntries(fields[api].map((field) => [field, `$context.${field}`]));
  return { destination: new LogGroupLogDestination(group), format: AccessLogFormat.custom(JSON.stringify(line)) };
}

/**
 * Gateways of the WebSocket kind write logs as one role, which is a setting of the account in that region. It stays when the stack goes:
 * other gateways there will be using it. `gateway`: one that is made before, without which AWS refuses the setting in an account that never had any.
 */
export function letGatewaysLog(scope: Construct, gateway: IDependable): CfnAccount {
  const role = new Role(scope, 'GatewayLogRole', {
    description: 'API gateways of this account and region write their logs',
    // No conditions: AWS documents none that it would fulfil, and only this account can hand out its roles.
    assumedBy: new ServicePrincipal('apigateway.amazonaws.com'),
    managedPolicies: [ManagedPolicy.fromAwsManagedPolicyName('service-role/AmazonAPIGatewayPushToCloudWatchLogs')],
  });
  role.applyRemovalPolicy(RemovalPolicy.RETAIN);
  acknowledge(role, {
    'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]':
      'The gateway refuses a role that may less than this policy, which AWS keeps for it',
  });
  const account = new CfnAccount(scope, 'GatewayLogs', { cloudWatchRoleArn: role.roleArn });
  account.applyRemovalPolicy(RemovalPolicy.RETAIN);
  account.node.addDependency(gateway);
  return account;
}
