/** The reconcile: finds commits whose stream record was lost, and makes the relay and the projections process them. */
import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import type { Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { SqsDestination } from 'aws-cdk-lib/aws-lambda-destinations';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import { Queue, QueueEncryption } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { acknowledge } from './acknowledge.ts';
import type { CoreStack } from './core-stack.ts';
import { coreEnvironment } from './environment.ts';
import { lambdaFunction } from './function.ts';
import { compareAll, invoke } from './grants.ts';
import { functionName, resourceName, type Stage } from './stage.ts';

export class DataAnalysisStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, props: StackProps) {
    super(scope, id, props);
    const reconcile = lambdaFunction(this, stage, {
      entry: 'reconcile',
      description: 'Compares the activity with ledger, bus and read models, and has lost records reprocessed',
      memory: 1024,
      timeout: Duration.minutes(15),
      environment: {
        ...coreEnvironment(stage, core),
        // Names, not references, so that this group can be deployed without theirs.
        RELAY_FUNCTION: functionName(stage, 'relay'),
        PROJECTIONS_FUNCTION: functionName(stage, 'projections'),
      },
      grants: [...compareAll(core), ...invoke(this, stage, 'relay', 'projections')],
    });
    const deadLetters = new Queue(this, 'DeadLetters', {
      queueName: resourceName(stage, 'reconcile-dlq'),
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(deadLetters, {
      'AwsSolutions-SQS3': 'It is the dead-letter queue of a schedule and a function, which the rule does not see',
      'Serverless-SQSRedrivePolicy': 'It is a dead-letter queue itself',
      CKV_AWS_27: 'SQS encrypts it with its own key, which the rule does not accept',
    });
    reconcile.configureAsyncInvoke({
      retryAttempts: 2,
      maxEventAge: Duration.hours(1),
      onFailure: new SqsDestination(deadLetters),
    });
    scheduleNightly(this, stage, reconcile, deadLetters);
  }
}

/** The first call of a night starts the scan, the next ones continue it. Calls after its end do nothing. */
function scheduleNightly(scope: Stack, stage: Stage, reconcile: LambdaFunction, deadLetters: Queue): void {
  const ownAccount = { 'aws:SourceAccount': scope.account };
  const role = new Role(scope, 'ScheduleRole', {
    description: 'Lets the nightly schedule start the reconcile',
    assumedBy: new ServicePrincipal('scheduler.amazonaws.com', { conditions: { StringEquals: ownAccount } }),
  });
  role.addToPrincipalPolicy(
    new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [reconcile.functionArn] }),
  );
  role.addToPrincipalPolicy(new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [deadLetters.queueArn] }));
  const schedule = new CfnSchedule(scope, 'EveryNight', {
    name: resourceName(stage, 'reconcile'),
    description: 'Every 20 minutes from 01:00 to 05:40 UTC',
    scheduleExpression: 'cron(0/20 1-5 * * ? *)',
    scheduleExpressionTimezone: 'UTC',
    flexibleTimeWindow: { mode: 'FLEXIBLE', maximumWindowInMinutes: 5 },
    target: {
      arn: reconcile.functionArn,
      roleArn: role.roleArn,
      input: JSON.stringify({ nightly: true }),
      retryPolicy: { maximumRetryAttempts: 3, maximumEventAgeInSeconds: 900 },
      deadLetterConfig: { arn: deadLetters.queueArn },
    },
  });
  // Scheduler refuses a schedule whose role lacks the rights for its target.
  schedule.node.addDependency(role);
}
