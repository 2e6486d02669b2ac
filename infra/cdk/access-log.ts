/**
 * The access logs of both APIs: one JSON line a request, without personal data. A line holds no IP address, user agent,
 * query or path. Queries can contain tickets, and paths of downloads contain tokens. `requestId` leads to the
 * application's log line, which names the route.
 */
import { RemovalPolicy } from 'aws-cdk-lib';
import { AccessLogFormat, CfnAccount } from 'aws-cdk-lib/aws-apigateway';
import { type IAccessLogSettings, LogGroupLogDestination } from 'aws-cdk-lib/aws-apigatewayv2';
import { ManagedPolicy, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { LogGroup, RetentionDays } from 'aws-cdk-lib/aws-logs';
import type { Construct, IDependable } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { resourceName, type Stage } from './stage.ts';

const commonFields = ['requestId', 'requestTimeEpoch', 'status', 'error.responseType', 'integrationErrorMessage'];
const fields = {
  api: [
    ...commonFields,
    'httpMethod',
    'protocol',
    'responseLength',
    'responseLatency',
    'integrationLatency',
    'integrationStatus',
  ],
  live: [...commonFields, 'eventType', 'connectionId', 'integrationLatency', 'integrationStatus'],
};

export function accessLog(scope: Construct, stage: Stage, api: keyof typeof fields): IAccessLogSettings {
  const group = new LogGroup(scope, `${api}-access`, {
    // All gateways of an account share one resource policy of limited length. This prefix needs no entry in it.
    logGroupName: `/aws/vendedlogs/${resourceName(stage, `${api}-access`)}`,
    retention: stage.disposable ? RetentionDays.ONE_DAY : RetentionDays.THREE_MONTHS,
    removalPolicy: RemovalPolicy.DESTROY,
  });
  acknowledge(group, { CKV_AWS_158: 'CloudWatch encrypts it with its own key. It holds no personal data' });
  const line = Object.fromEntries(fields[api].map((field) => [field, `$context.${field}`]));
  return { destination: new LogGroupLogDestination(group), format: AccessLogFormat.custom(JSON.stringify(line)) };
}

/**
 * Sets the role under which WebSocket APIs write their logs. It is one setting for the account and region, so it stays
 * when the stack is deleted: other gateways may use it. AWS refuses the setting in an account that never had a gateway,
 * so CloudFormation creates `gateway` first.
 */
export function enableGatewayLogs(scope: Construct, gateway: IDependable): CfnAccount {
  const role = new Role(scope, 'GatewayLogRole', {
    description: 'Lets the API gateways of this account and region write logs',
    // AWS documents no condition keys for this principal. Only this account can pass its roles.
    assumedBy: new ServicePrincipal('apigateway.amazonaws.com'),
    managedPolicies: [ManagedPolicy.fromAwsManagedPolicyName('service-role/AmazonAPIGatewayPushToCloudWatchLogs')],
  });
  role.applyRemovalPolicy(RemovalPolicy.RETAIN);
  acknowledge(role, {
    'AwsSolutions-IAM4[Policy::arn:<AWS::Partition>:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs]':
      'API Gateway refuses a role with fewer rights than this managed policy',
  });
  const account = new CfnAccount(scope, 'GatewayLogs', { cloudWatchRoleArn: role.roleArn });
  account.applyRemovalPolicy(RemovalPolicy.RETAIN);
  account.node.addDependency(gateway);
  return account;
}
