/** A batch that a reader of the activity stream gave up on: whoever is called is told of each, since no metric counts them. */
import { EventField, Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { SnsTopic } from 'aws-cdk-lib/aws-events-targets';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { acknowledge } from '../acknowledge.ts';
import { resourceName, type Stage } from '../stage.ts';

/** The object's name holds the mapping, the shard and the time, nothing personal. */
export function notifyOfDeadLetters(scope: Construct, stage: Stage, failed: IBucket, topic: ITopic): void {
  const rule = new Rule(scope, 'BatchGivenUp', {
    ruleName: resourceName(stage, 'given-up'),
    eventPattern: {
      source: ['aws.s3'],
      detailType: ['Object Created'],
      detail: { bucket: { name: [failed.bucketName] } },
    },
    targets: [
      new SnsTopic(topic, {
        message: RuleTargetInput.fromText(
          `ListBackup stage ${stage.name}: a batch of changes was given up after six hours of tries. Runbook: docs/runbook.md#given-up. ` +
            `It is kept as s3://${failed.bucketName}/${EventField.fromPath('$.detail.object.key')}`,
        ),
      }),
    ],
  });
  acknowledge(rule, {
    'Serverless-EventBusDLQ': 'The batch is in its bucket, and the alarm on lag has been on for hours',
  });
}
