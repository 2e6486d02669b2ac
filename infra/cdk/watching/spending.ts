/** Cost alerts for a stage: a monthly budget and anomaly detection. */
import { CfnBudget } from 'aws-cdk-lib/aws-budgets';
import { CfnAnomalyMonitor, CfnAnomalySubscription } from 'aws-cdk-lib/aws-ce';
import type { Topic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { resourceName, type Stage } from '../stage.ts';

/**
 * Filters by the tag `stage`, which every resource has. The tag must be activated once as a cost allocation tag
 * (docs/deploy.md). A stage with budget 0 gets no cost alerts.
 */
export function watchSpending(scope: Construct, stage: Stage, topic: Topic): void {
  if (stage.budget === 0) return;
  const subscribers = [{ subscriptionType: 'SNS', address: topic.topicArn }];
  const budget = new CfnBudget(scope, 'Budget', {
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
  const anomalies = new CfnAnomalySubscription(scope, 'AnomalySubscription', {
    subscriptionName: resourceName(stage, 'spending'),
    frequency: 'IMMEDIATE',
    monitorArnList: [monitor.ref],
    subscribers: [{ type: 'SNS', address: topic.topicArn }],
    // US dollars above the expected cost.
    thresholdExpression: JSON.stringify({
      Dimensions: { Key: 'ANOMALY_TOTAL_IMPACT_ABSOLUTE', MatchOptions: ['GREATER_THAN_OR_EQUAL'], Values: ['5'] },
    }),
  });
  // AWS checks at creation that the topic policy allows its services to publish.
  for (const alert of [budget, anomalies]) alert.node.addDependency(topic);
}
