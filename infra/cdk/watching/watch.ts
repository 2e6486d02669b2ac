/** Monitoring of a stage: alarms, dashboards, notifications, saved queries, cost alerts. */
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
import { saveQueries } from './queries.ts';
import { watchSpending } from './spending.ts';
import { findWatched } from './watched.ts';

/** Call it after all stacks exist, because it looks through the whole app. */
export function watch(scope: Construct, stage: Stage, core: CoreStack, api: HttpApi): void {
  const watched = findWatched(scope.node.root);
  const topic = alarmTopic(scope, stage);
  const period = Duration.minutes(5);
  const requests = api.metricCount({ period, label: 'requests' });
  const errors = api.metricServerError({ period, label: 'failed' });
  const failing = new MathExpression({
    expression: '100 * errors / MAX([errors, requests])',
    usingMetrics: { errors, requests },
    period,
  });
  const alarms = makeAlarms(scope, stage, watched, failing, topic);
  systemDashboard(scope, stage, watched, alarms, {
    requests,
    errors,
    latency: api.metricLatency({ statistic: 'p95', period, label: 'p95' }),
  });
  notifyOfDeadLetters(scope, stage, core.failed, topic);
  saveQueries(scope, stage, watched);
  watchSpending(scope, stage, topic);
}

/**
 * Operators subscribe to the topic by hand (docs/runbook.md). A topic policy replaces the default one, which allows all
 * of the account, so this policy names each service that publishes.
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
    CKV_AWS_26: 'Messages name an alarm and hold no personal data. Alarms cannot publish with the default key of SNS',
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
