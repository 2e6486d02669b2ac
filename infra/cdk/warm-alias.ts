/** The alias of a function, with provisioned concurrency if the stage asks for it. */
import { Alias, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { Stage } from './stage.ts';

/**
 * Scales between the stage's minimum and maximum at 70 % utilization. One warm instance of the API costs about $15 a
 * month (1,769 MB, ARM, us-east-1).
 */
export function warmAlias(scope: Construct, stage: Stage, target: LambdaFunction): Alias {
  const { min, max } = stage.warm;
  const alias = new Alias(scope, 'Live', {
    aliasName: 'live',
    version: target.currentVersion,
    ...(min > 0 ? { provisionedConcurrentExecutions: min } : {}),
  });
  if (min > 0)
    alias.addAutoScaling({ minCapacity: min, maxCapacity: max }).scaleOnUtilization({ utilizationTarget: 0.7 });
  return alias;
}
