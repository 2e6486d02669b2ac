/** The read models: the first of the two readers of the activity stream. */
import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import { readActivity } from './activity-mapping.ts';
import type { CoreStack } from './core-stack.ts';
import { coreEnvironment } from './environment.ts';
import { lambdaFunction } from './function.ts';
import { loadEvents, readStream, useRecords, writeRows } from './grants.ts';
import type { Stage } from './stage.ts';

export class AnalyticsStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, props: StackProps) {
    super(scope, id, props);
    const handler = lambdaFunction(this, stage, {
      entry: 'projections',
      description: 'Brings the read models up to the activity',
      memory: 1024,
      timeout: Duration.minutes(5),
      environment: coreEnvironment(stage, core),
      grants: [...readStream(core), ...loadEvents(core), ...writeRows(core), ...useRecords(core)],
    });
    readActivity(this, stage, core, handler, 'projections');
  }
}
