/** The queues of a stage, each with its dead letters, which go back to it and nowhere else. */
import { Duration, Stack } from 'aws-cdk-lib';
import type { EventBus } from 'aws-cdk-lib/aws-events';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Queue, QueueEncryption, RedrivePermission } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { maxReceives } from '../limits.ts';
import { acknowledge } from './acknowledge.ts';
import { resourceName, type Stage } from './stage.ts';

export type Queues = {
  job: Queue;
  data: Queue;
  /** What the bus could not deliver within a day. */
  undelivered: Queue;
};

/** The longest a function may work, and so long plus a margin its message stays hidden. */
export const workTimeout = Duration.minutes(15);
const workVisibility = Duration.minutes(16);

const shared = { encryption: QueueEncryption.SQS_MANAGED, enforceSSL: true, retentionPeriod: Duration.days(14) };

const encrypted = {
  CKV_AWS_27:
    'SQS encrypts it with a key of its own, which the rule does not count; messages hold ids and no personal data',
};
const last = { 'Serverless-SQSRedrivePolicy': 'Dead letters wait for a person: after this queue there is none' };

export function makeQueues(scope: Construct, stage: Stage, bus: EventBus): Queues {
  const queues = {
    job: queueWithDeadLetters(scope, stage, 'job'),
    data: queueWithDeadLetters(scope, stage, 'data'),
    undelivered: new Queue(scope, 'undelivered', { queueName: resourceName(stage, 'bus-dlq'), ...shared }),
  };
  acknowledge(queues.undelivered, {
    'AwsSolutions-SQS3': 'It holds the dead letters of rules, which are in other stacks',
    ...last,
  });
  for (const queue of Object.values(queues)) {
    queue.addToResourcePolicy(fromRulesOf(bus, queue));
    acknowledge(queue, encrypted);
  }
  return queues;
}

function queueWithDeadLetters(scope: Construct, stage: Stage, kind: 'job' | 'data'): Queue {
  const queueName = resourceName(stage, `${kind}-queue`);
  // By its name: queue and dead letters cannot both be made of the other.
  const source = Queue.fromQueueArn(
    scope,
    `${kind}-source`,
    Stack.of(scope).formatArn({ service: 'sqs', resource: queueName }),
  );
  const deadLetters = new Queue(scope, `${kind}-dead-letters`, {
    queueName: resourceName(stage, `${kind}-queue-dlq`),
    redriveAllowPolicy: { redrivePermission: RedrivePermission.BY_QUEUE, sourceQueues: [source] },
    ...shared,
  });
  acknowledge(deadLetters, { ...last, ...encrypted });
  return new Queue(scope, `${kind}-queue`, {
    queueName,
    visibilityTimeout: workVisibility,
    deadLetterQueue: { queue: deadLetters, maxReceiveCount: maxReceives },
    ...shared,
  });
}

/** Said here for all rules of the bus: a policy that named each rule would make this stack depend on theirs. */
function fromRulesOf(bus: EventBus, queue: Queue): PolicyStatement {
  return new PolicyStatement({
    principals: [new ServicePrincipal('events.amazonaws.com')],
    actions: ['sqs:SendMessage'],
    resources: [queue.queueArn],
    conditions: {
      ArnLike: {
        'aws:SourceArn': Stack.of(bus).formatArn({
          service: 'events',
          resource: 'rule',
          resourceName: `${bus.eventBusName}/*`,
        }),
      },
    },
  });
}
