/** The version of a function that answers, with as many of it kept started as the stage asks for. */
import { Alias, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';
import type { Stage } from './stage.ts';

/**
 * More are started when seven of ten are at work at once, up to the most, and ended again when they are not. One of the API costs about
 * $15 a month (1,769 MB, ARM, us-east-1).
 */
export function keptWarm(scope: Construct, stage: Stage, target: LambdaFunction): Alias {
  const { least, most } = stage.warm;
  const alias = new Alias(scope, 'Live', {
    aliasName: 'live',
    version: target.currentVersion,
    ...(least > 0 ? { provisionedConcurrentExecutions: least } : {}),
  });
  if (least > 0)
    alias.addAutoScaling({ minCapacity: least, maxCapacity: most }).scaleOnUtilization({ utilizationTarget: 0.7 });
  return alias;
}
