/** The backup work: the relay (second reader of the activity stream), the routes from the bus, the queues' workers, the sweeper. */
import { Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { Rule, RuleTargetInput, Schedule } from 'aws-cdk-lib/aws-events';
import { LambdaFunction as LambdaTarget, SqsQueue } from 'aws-cdk-lib/aws-events-targets';
import { EventSourceMapping, type Function as LambdaFunction } from 'aws-cdk-lib/aws-lambda';
import { Queue } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import type { QueueName } from '../../domain/ports.ts';
import { busSource } from '../aws/bus.ts';
import { acknowledge } from './acknowledge.ts';
import { readActivity } from './activity-mapping.ts';
import { type CoreStack, workTimeout } from './core-stack.ts';
import { coreEnvironment } from './environment.ts';
import { lambdaFunction } from './function.ts';
import {
  appendEvents,
  consume,
  deleteExports,
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

/** Which events, by their wire names, start work, and on which queue it waits. */
export type Route = { types: string[]; queue: QueueName };

export class BackupProcessorsStack extends Stack {
  constructor(scope: Construct, id: string, stage: Stage, core: CoreStack, routes: Route[], props: StackProps) {
    super(scope, id, props);
    const environment = coreEnvironment(stage, core);

    const relay = lambdaFunction(this, stage, {
      entry: 'relay',
      network: core.network?.inside,
      description: 'Enters commits in the ledger and puts their events on the bus',
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
    // An account's ledger takes one place after another: ten relays give it a quarter of the places that one does, and pay for each refusal.
    readActivity(this, stage, core, relay, 2);

    makeRoutes(this, core, routes);

    const work = [...appendEvents(core), ...useRecords(core), ...useKeys(core), ...send(core.jobQueue, core.dataQueue)];
    const orchestrator = lambdaFunction(this, stage, {
      entry: 'job-queue',
      network: core.network?.outward,
      description: 'Plans runs and seals them',
      memory: 1769,
      timeout: workTimeout,
      // A plan goes on in another message whenever the time is up: of a source that takes a day to list, a hundred times. Each gets further.
      callsItself: true,
      environment,
      grants: [...consume(core.jobQueue), ...work],
    });
    mapQueue(this, 'JobMapping', core.jobQueue, orchestrator, 20);
    const worker = lambdaFunction(this, stage, {
      entry: 'data-queue',
      network: core.network?.outward,
      description: 'Fetches, chunks, encrypts and stores batches of files',
      memory: 3008, // 1.7 cores, and the most a new AWS account may have
      timeout: workTimeout,
      environment,
      // An export that is ready only after its time has come is taken back by whoever made it: the sweeper has passed.
      grants: [...consume(core.dataQueue), ...work, ...deleteExports(core)],
    });
    mapQueue(this, 'DataMapping', core.dataQueue, worker, 50);

    const sweeper = lambdaFunction(this, stage, {
      entry: 'sweeper',
      network: core.network?.inside,
      description: 'Looks after runs that stand still, and exports whose time has come',
      memory: 512,
      timeout: Duration.minutes(5),
      environment,
      grants: [...work, ...deleteExports(core)],
    });
    // Both repeat what may have been missed; a visit that is lost is made up by the next.
    const everyMinute = new Rule(this, 'EveryMinute', {
      ruleName: resourceName(stage, 'every-minute'),
      schedule: Schedule.rate(Duration.minutes(1)),
      targets: [relay, sweeper].map((target) => new LambdaTarget(target, { retryAttempts: 0 })),
    });
    acknowledge(everyMinute, { 'Serverless-EventBusDLQ': 'The next minute comes' });
    performanceDashboard(this, stage);
  }
}

/** The message on the queue is the bus event as it was published. */
function makeRoutes(scope: Construct, core: CoreStack, routes: Route[]): void {
  // By their ARNs, because the queues' policies (in the core stack) already admit every rule of the bus.
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

/** One message at a time: each is minutes of work, and a failure of one should not repeat another. */
function mapQueue(scope: Construct, id: string, queue: Queue, target: LambdaFunction, maxConcurrency: number): void {
  const mapping = new EventSourceMapping(scope, id, {
    target,
    eventSourceArn: queue.queueArn,
    batchSize: 1,
    reportBatchItemFailures: true,
    maxConcurrency,
  });
  acknowledge(mapping, {
    'Serverless-LambdaEventSourceMappingDestination': "What fails too often goes to the queue's own dead letters",
  });
}
