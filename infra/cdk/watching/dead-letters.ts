/** Notifies the alarm topic of each failed batch of the activity stream, because no metric counts them. */
import { EventField, Rule, RuleTargetInput } from 'aws-cdk-lib/aws-events';
import { SnsTopic } from 'aws-cdk-lib/aws-events-targets';
import type { IBucket } from 'aws-cdk-lib/aws-s3';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import { acknowledge } from '../acknowledge.ts';
import { resourceName, type Stage } from '../stage.ts';

/** The message contains the object's name: mapping, shard and time, no personal data. */
export function notifyOfDeadLetters(scope: Construct, stage: Stage, failed: IBucket, topic: ITopic): void {
  const rule = new Rule(scope, 'FailedBatch', {
    ruleName: resourceName(stage, 'failed-batch'),
    eventPattern: {
      source: ['aws.s3'],
      detailType: ['Object Created'],
      detail: { bucket: { name: [failed.bucketName] } },
    },
    targets: [
      new SnsTopic(topic, {
        message: RuleTargetInput.fromText(
          `ListBackup stage ${stage.name}: a batch of stream records failed for six hours. Runbook: docs/runbook.md#failed-batch. ` +
            `The batch is s3://${failed.bucketName}/${EventField.fromPath('$.detail.object.key')}`,
        ),
      }),
    ],
  });
  acknowledge(rule, {
    'Serverless-EventBusDLQ': 'The bucket keeps the batch, and the alarm lag has been on for hours',
  });
}
