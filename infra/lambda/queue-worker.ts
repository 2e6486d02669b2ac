/** What the functions behind both queues do with a batch: each message by itself, and the ones that failed again after a pause. */
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import type { QueueName } from '../../domain/ports.ts';
import type { Deployment } from '../../processors/deployment.ts';
import { askedPause, handleMessage } from '../../processors/runner.ts';

/** What is left of a function's time when a step stops and hands the rest to another message. */
const marginMs = 90_000;

export function queueWorker(
  deployment: Deployment,
  queue: QueueName,
): (event: SQSEvent, context: Context) => Promise<SQSBatchResponse> {
  const { platform } = deployment;
  const processor = new BatchProcessor(EventType.SQS);

  async function work({ body, receiptHandle, attributes }: SQSRecord, context: Context): Promise<void> {
    const receives = Number(attributes.ApproximateReceiveCount);
    const deadline = platform.now() + context.getRemainingTimeInMillis() - marginMs;
    try {
      await handleMessage(deployment, JSON.parse(body), { receives, deadline });
    } catch (error) {
      platform.log.error('a message failed', { queue, receives }, error);
      // Else it would stay hidden as long as a function may work.
      await platform.queue.extend(queue, receiptHandle, askedPause(error) ?? pauseSeconds(receives)).catch(() => {});
      throw error;
    }
  }

  // A failed message is no failed invocation: it comes again, and at last is a dead letter.
  return (event, context) =>
    processPartialResponse(event, (record: SQSRecord) => work(record, context), processor, {
      context,
      throwOnFullBatchFailure: false,
    });
}

/** 2, 8, 32, 128 … seconds, at most 15 minutes. */
export function pauseSeconds(receives: number): number {
  return Math.min(2 * 4 ** (receives - 1), 900);
}
