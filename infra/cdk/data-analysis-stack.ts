/** What looks over all of the data at rest: the reconcile, which finds what stream records that never came have left undone. */
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
import { compareAll, order } from './grants.ts';
import { functionName, resourceName, type Stage } from './stage.ts';

export class DataAnalysisStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, props: StackProps) {
    super(scope, id, props);
    const reconcile = lambdaFunction(this, stage, {
      entry: 'reconcile',
      description: 'Compares the activity with ledger, bus and read models, and has mended what was lost',
      memory: 1024,
      timeout: Duration.minutes(15),
      environment: {
        ...coreEnvironment(stage, core),
        // By name: this group can be deployed without theirs.
        RELAY_FUNCTION: functionName(stage, 'relay'),
        PROJECTIONS_FUNCTION: functionName(stage, 'projections'),
      },
      grants: [...compareAll(core), ...order(this, stage, 'relay', 'projections')],
    });
    const deadLettered = new Queue(this, 'GivenUp', {
      queueName: resourceName(stage, 'reconcile-dlq'),
      encryption: QueueEncryption.SQS_MANAGED,
      enforceSSL: true,
      retentionPeriod: Duration.days(14),
    });
    acknowledge(deadLettered, {
      'AwsSolutions-SQS3':
        'It holds the visits that a schedule or a function gave up on: their dead letters, which the rule does not see',
      'Serverless-SQSRedrivePolicy': 'It holds dead letters itself',
      CKV_AWS_27: 'SQS encrypts it with a key of its own, which the rule does not count',
    });
    reconcile.configureAsyncInvoke({
      retryAttempts: 2,
      maxEventAge: Duration.hours(1),
      onFailure: new SqsDestination(deadLettered),
    });
    everyNight(this, stage, reconcile, deadLettered);
  }
}

/** Visits, the first of which begins the night's walk and the next of which go on with it until it is done; then they find nothing due. */
function everyNight(scope: Stack, stage: Stage, reconcile: LambdaFunction, deadLettered: Queue): void {
  const of = { 'aws:SourceAccount': scope.account };
  const role = new Role(scope, 'ScheduleRole', {
    description: 'The schedule of the reconcile',
    assumedBy: new ServicePrincipal('scheduler.amazonaws.com', { conditions: { StringEquals: of } }),
  });
  role.addToPrincipalPolicy(
    new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [reconcile.functionArn] }),
  );
  role.addToPrincipalPolicy(new PolicyStatement({ actions: ['sqs:SendMessage'], resources: [deadLettered.queueArn] }));
  const schedule = new CfnSchedule(scope, 'EveryNight', {
    name: resourceName(stage, 'reconcile'),
    description: 'Every 20 minutes from 1 to 6 at night, UTC',
    scheduleExpression: 'cron(0/20 1-5 * * ? *)',
    scheduleExpressionTimezone: 'UTC',
    flexibleTimeWindow: { mode: 'FLEXIBLE', maximumWindowInMinutes: 5 },
    target: {
      arn: reconcile.functionArn,
      roleArn: role.roleArn,
      input: JSON.stringify({ nightly: true }),
      retryPolicy: { maximumRetryAttempts: 3, maximumEventAgeInSeconds: 900 },
      deadLetterConfig: { arn: deadLettered.queueArn },
    },
  });
  // A schedule is refused whose role may not do what it is for.
  schedule.node.addDependency(role);
}
