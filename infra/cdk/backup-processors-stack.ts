/** The relay (second reader of the activity stream), the rules from bus to queues, the queue functions, the sweeper. */
import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget, SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { EventSourceMapping, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { QueueName } from '../../domain/ports.ts';
import { maxWorkers } from '../../processors/index.ts';
import { busSource } from '../aws/bus.ts';
import { acknowledge } from './acknowledge.ts';
import { readActivity } from './activity-mapping.ts';
import { type CoreStack, workTimeout } from './core-stack.ts';
import { coreEnvironment } from './environment.ts';
import { lambdaFunction } from './function.ts';
import {
  appendEvents,
  consume,
  deleteTemporaryBlobs,
  destroyKeys,
  loadEvents,
  publish,
  readStream,
  send,
  useKeys,
  useRecords,
  writeLedger,
} from './grants.ts';
import { resourceName, type Stage } from './stage.ts';
import { performanceDashboard } from './watching/dashboards.ts';

/** Events, by their stored names, that start work, and the queue that gets them. */
export type Route = { types: string[]; queue: QueueName };

export class BackupProcessorsStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, routes: Route[], props: StackProps) {
    super(scope, id, props);
    const environment = coreEnvironment(stage, core);

    const relay = lambdaFunction(this, stage, {
      entry: 'relay',
      network: core.network?.inside,
      description: 'Appends commits to the ledger and publishes their events on the bus',
      memory: 512,
      timeout: Duration.minutes(5),
      environment,
      grants: [
        ...readStream(core),
        ...loadEvents(core),
        ...writeLedger(core),
        ...useRecords(core),
        ...publish(core),
        ...send(core.jobQueue),
      ],
    });
    // Relays contend for the ledger head of an account. Ten append a quarter as fast as one and pay for conflicts.
    readActivity(this, stage, core, relay, 2);

    makeRoutes(this, core, routes);

    const work = [
      ...appendEvents(core),
      ...useRecords(core),
      ...useKeys(core),
      ...send(core.jobQueue, core.dataQueue),
      ...deleteTemporaryBlobs(core),
      ...publish(core),
    ];
    const orchestrator = lambdaFunction(this, stage, {
      entry: 'job-queue',
      network: core.network?.outward,
      description: 'Plans and commits backup runs',
      memory: 1769,
      timeout: workTimeout,
      // A plan that runs out of time continues in a new message. Listing for a day takes about a hundred messages.
      allowsRecursion: true,
      environment,
      grants: [...consume(core.jobQueue), ...work],
    });
    mapQueue(this, 'JobMapping', core.jobQueue, orchestrator, maxWorkers.job);
    const worker = lambdaFunction(this, stage, {
      entry: 'data-queue',
      network: core.network?.outward,
      description: 'Fetches, chunks, encrypts and stores batches of files',
      memory: 3008, // MB, 1.7 vCPUs, the maximum of a new AWS account
      timeout: workTimeout,
      // A large file or export that runs out of time goes on in a new message, as a plan does.
      allowsRecursion: true,
      environment,
      grants: [...consume(core.dataQueue), ...work],
    });
    mapQueue(this, 'DataMapping', core.dataQueue, worker, maxWorkers.data);

    const sweeper = lambdaFunction(this, stage, {
      entry: 'sweeper',
      network: core.network?.inside,
      description: 'Sends lost tasks again, deletes expired exports, repairs and destroys keys',
      memory: 512,
      timeout: Duration.minutes(5),
      environment,
      grants: [...work, ...destroyKeys(core)],
    });
    // Both functions repeat missed work, so a lost call needs no retry.
    const everyMinute = new Rule(this, 'EveryMinute', {
      ruleName: resourceName(stage, 'every-minute'),
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [relay, sweeper].map((target) => new LambdaTarget(target, { retryAttempts: 0 })),
    });
    acknowledge(everyMinute, {
      'Serverless-EventBusDLQ': 'The next call, a minute later, does the work of a lost one',
    });
    performanceDashboard(this, stage);
  }
}

/** The queue message is the bus event as published. */
function makeRoutes(scope: Construct, core: CoreStack, routes: Route[]): void {
  // Referenced by ARN, because the queue policies in the core stack already admit every rule of the bus.
  const queues = {
    job: Queue.fromQueueArn(scope, 'JobQueue', core.jobQueue.queueArn),
    data: Queue.fromQueueArn(scope, 'DataQueue', core.dataQueue.queueArn),
  };
  const deadLetterQueue = Queue.fromQueueArn(scope, 'Undelivered', core.undelivered.queueArn);
  for (const { types, queue } of routes) {
    for (const type of types) {
      new Rule(scope, `Route-${type}-${queue}`, {
        eventBus: core.bus,
        eventPattern: { source: [busSource], detailType: [type] },
        targets: [new SqsQueue(queues[queue], { message: RuleTargetInput.fromEventPath('$.detail'), deadLetterQueue })],
      });
    }
  }
}

/** One message a call: each is minutes of work, and the failure of one must not repeat another. */
function mapQueue(scope: Construct, id: string, queue: Queue, target: LambdaFunction, maxConcurrency: number): void {
  const mapping = new EventSourceMapping(scope, id, {
    target,
    eventSourceArn: queue.queueArn,
    batchSize: 1,
    reportBatchItemFailures: true,
    maxConcurrency,
  });
  acknowledge(mapping, {
    'Serverless-LambdaEventSourceMappingDestination':
      'SQS moves a message that fails too often to the dead-letter queue',
  });
}
