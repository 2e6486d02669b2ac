/** Told when a stage costs more than it should: against a sum, and against what it usually costs. */
import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import { CfnAnomalyMonitor, CfnAnomalySubscription } from 'aws-cdk-lib/aws-ce';
import type { Topic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { resourceName, type Stage } from '../stage.ts';

/**
 * By the tag `stage`, which every resource bears and which has to be switched on once as a cost allocation tag (docs/deploy.md). A stage
 * without a budget has neither.
 */
export function watchSpending(scope: Construct, stage: Stage, topic: Topic): void {
  if (stage.budget === 0) return;
  const subscribers = [{ subscriptionType: 'SNS', address: topic.topicArn }];
  const month = new CfnBudget(scope, 'Budget', {
    budget: {
      budgetName: resourceName(stage, 'budget'),
      budgetType: 'COST',
      timeUnit: 'MONTHLY',
      budgetLimit: { amount: stage.budget, unit: 'USD' },
      costFilters: { TagKeyValue: [`user:stage$${stage.name}`] },
    },
    notificationsWithSubscribers: [
      { notification: { notificationType: 'ACTUAL', comparisonOperator: 'GREATER_THAN', threshold: 80 }, subscribers },
      {
        notification: { notificationType: 'FORECASTED', comparisonOperator: 'GREATER_THAN', threshold: 100 },
        subscribers,
      },
    ],
  });
  const monitor = new CfnAnomalyMonitor(scope, 'AnomalyMonitor', {
    monitorName: resourceName(stage, 'spending'),
    monitorType: 'CUSTOM',
    monitorSpecification: JSON.stringify({ Tags: { Key: 'stage', Values: [stage.name] } }),
  });
  const unusual = new CfnAnomalySubscription(scope, 'AnomalySubscription', {
    subscriptionName: resourceName(stage, 'spending'),
    frequency: 'IMMEDIATE',
    monitorArnList: [monitor.ref],
    subscribers: [{ type: 'SNS', address: topic.topicArn }],
    // US dollars above what was to be expected.
    thresholdExpression: JSON.stringify({
      Dimensions: { Key: 'ANOMALY_TOTAL_IMPACT_ABSOLUTE', MatchOptions: ['GREATER_THAN_OR_EQUAL'], Values: ['5'] },
    }),
  });
  // Cost Explorer asks, when it is told of a topic, whether that lets it in: the topic's policy has to be there.
  for (const each of [month, unusual]) each.node.addDependency(topic);
}
