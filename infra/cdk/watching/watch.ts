/** Everything that watches a stage, in one place and made last, of all that there is. */

import { ArnFormat, CfnOutput, Duration, Stack } from 'aws-cdk-lib';
import type { HttpApi } from 'aws-cdk-lib/aws-apigatewayv2';
import { MathExpression } from 'aws-cdk-lib/aws-cloudwatch';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { acknowledge } from '../acknowledge.ts';
import type { CoreStack } from '../core-stack.ts';
import { resourceName, type Stage } from '../stage.ts';
import { makeAlarms } from './alarms.ts';
import { systemDashboard } from './dashboards.ts';
import { notifyOfDeadLetters } from './dead-letters.ts';
import { whatThereIs } from './found.ts';
import { saveQueries } from './queries.ts';
import { watchSpending } from './spending.ts';

/** To be called when all stacks are made. */
export function watch(scope: Construct, stage: Stage, core: CoreStack, api: HttpApi): void {
  const found = whatThereIs(scope.node.root);
  const topic = alarmTopic(scope, stage);
  const period = Duration.minutes(5);
  const requests = api.metricCount({ period, label: 'requests' });
  const errors = api.metricServerError({ period, label: 'failed' });
  const failing = new MathExpression({
    expression: '100 * errors / MAX([errors, requests])',
    usingMetrics: { errors, requests },
    period,
  });
  const alarms = makeAlarms(scope, stage, found, failing, topic);
  systemDashboard(scope, stage, found, alarms, {
    requests,
    errors,
    latency: api.metricLatency({ statistic: 'p95', period, label: '95 of 100' }),
  });
  notifyOfDeadLetters(scope, stage, core.failed, topic);
  saveQueries(scope, stage, found);
  watchSpending(scope, stage, topic);
}

/**
 * People subscribe to it by hand: who is called is no matter of the code. With a policy of its own a topic no longer lets in the services of
 * its account, so each that publishes is named.
 */
function alarmTopic(scope: Construct, stage: Stage): Topic {
  const topic = new Topic(scope, 'Alarms', { topicName: resourceName(stage, 'alarms'), enforceSSL: true });
  topic.addToResourcePolicy(
    new PolicyStatement({
      principals: ['budgets', 'costalerts'].map((service) => new ServicePrincipal(`${service}.amazonaws.com`)),
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      conditions: { StringEquals: { 'aws:SourceAccount': Stack.of(scope).account } },
    }),
  );
  topic.addToResourcePolicy(
    new PolicyStatement({
      principals: [new ServicePrincipal('cloudwatch.amazonaws.com')],
      actions: ['sns:Publish'],
      resources: [topic.topicArn],
      conditions: { ArnLike: { 'aws:SourceArn': alarmsHere(scope) } },
    }),
  );
  acknowledge(topic, {
    CKV_AWS_26: 'It says which alarm is on and nothing personal; alarms cannot publish under the key that SNS offers',
  });
  new CfnOutput(scope, 'AlarmTopic', { value: topic.topicArn });
  return topic;
}

function alarmsHere(scope: Construct): string {
  const parts = {
    service: 'cloudwatch',
    resource: 'alarm',
    resourceName: '*',
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  };
  return Stack.of(scope).formatArn(parts);
}
