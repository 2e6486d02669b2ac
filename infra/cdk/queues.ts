/** The queues of a stage. Dead letters of a queue can be moved back to that queue only. */
import { Duration, Stack } from 'aws-cdk-lib';
import type { EventBus } from 'aws-cdk-lib/aws-events';
import { PolicyStatement, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Queue, QueueEncryption, RedrivePermission } from 'aws-cdk-lib/aws-sqs';
import type { Construct } from 'constructs';
import { maxReceives } from '../../processors/index.ts';
import { acknowledge } from './acknowledge.ts';
import { resourceName, type Stage } from './stage.ts';

export type Queues = {
  job: Queue;
  data: Queue;
  /** Events that the bus could not deliver within a day. */
  undelivered: Queue;
};

/** The longest a function may run. Its message stays hidden for a minute longer. */
export const workTimeout = Duration.minutes(15);
const workVisibility = Duration.minutes(16);

const shared = { encryption: QueueEncryption.SQS_MANAGED, enforceSSL: true, retentionPeriod: Duration.days(14) };

const encrypted = {
  CKV_AWS_27:
    'SQS encrypts it with its own key, which the rule does not accept. Messages hold ids and no personal data',
};
const isDeadLetterQueue = { 'Serverless-SQSRedrivePolicy': 'It is a dead-letter queue itself. An operator handles it' };

export function makeQueues(scope: Construct, stage: Stage, bus: EventBus): Queues {
  const queues = {
    job: queueWithDeadLetters(scope, stage, 'job'),
    data: queueWithDeadLetters(scope, stage, 'data'),
    undelivered: new Queue(scope, 'undelivered', { queueName: resourceName(stage, 'bus-dlq'), ...shared }),
  };
  acknowledge(queues.undelivered, {
    'AwsSolutions-SQS3': 'It is the dead-letter queue of rules in other stacks',
    ...isDeadLetterQueue,
  });
  for (const queue of Object.values(queues)) {
    queue.addToResourcePolicy(allowRules(bus, queue));
    acknowledge(queue, encrypted);
  }
  return queues;
}

function queueWithDeadLetters(scope: Construct, stage: Stage, kind: 'job' | 'data'): Queue {
  const queueName = resourceName(stage, `${kind}-queue`);
  // Referenced by name, because queue and dead-letter queue refer to each other.
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
  acknowledge(deadLetters, { ...isDeadLetterQueue, ...encrypted });
  return new Queue(scope, `${kind}-queue`, {
    queueName,
    visibilityTimeout: workVisibility,
    deadLetterQueue: { queue: deadLetters, maxReceiveCount: maxReceives },
    ...shared,
  });
}

/** Allows all rules of the bus. Naming each rule would make this stack depend on the stacks of the rules. */
function allowRules(bus: EventBus, queue: Queue): PolicyStatement {
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
