/** The projections: the first of the two readers of the activity stream. */
import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { Rule, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget } from 'aws-cdk-lib/aws-events-targets';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import { readActivity } from './activity-mapping.ts';
import type { CoreStack } from './core-stack.ts';
import { coreEnvironment } from './environment.ts';
import { lambdaFunction } from './function.ts';
import { loadEvents, readStream, scanEvents, useRecords, writeRows } from './grants.ts';
import { resourceName, type Stage } from './stage.ts';

export class AnalyticsStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, props: StackProps) {
    super(scope, id, props);
    const handler = lambdaFunction(this, stage, {
      entry: 'projections',
      network: core.network?.inside,
      description: 'Updates the read models from the activity stream',
      memory: 1024,
      timeout: Duration.minutes(5),
      environment: coreEnvironment(stage, core),
      grants: [...readStream(core), ...loadEvents(core), ...scanEvents(core), ...writeRows(core), ...useRecords(core)],
    });
    readActivity(this, stage, core, handler, 10);
    // Maintenance runs in this function, because a rebuild and the live updates need the same code version.
    const everyMinute = new Rule(this, 'EveryMinute', {
      ruleName: resourceName(stage, 'read-models-every-minute'),
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [new LambdaTarget(handler, { retryAttempts: 0 })],
    });
    acknowledge(everyMinute, {
      'Serverless-EventBusDLQ': 'The next call, a minute later, does the work of a lost one',
    });
  }
}
