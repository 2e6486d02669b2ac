/** Processes a batch of queue messages, each by itself. A failed message becomes visible again after a pause. */
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import type { QueueName } from '../../domain/ports.ts';
import type { Deployment } from '../../processors/deployment.ts';
import { handleMessage } from '../../processors/runner.ts';

/** A step stops this long before the timeout of the function, and another function goes on. */
const longestMarginMs = 90_000;
/** The margin of a function with a short timeout, as a share of it. */
const marginShare = 0.4;

export function queueWorker(
  deployment: Deployment,
  queue: QueueName,
): (event: SQSEvent, context: Context) => Promise<SQSBatchResponse> {
  const { platform } = deployment;
  const processor = new BatchProcessor(EventType.SQS);

  async function work({ body, receiptHandle, attributes }: SQSRecord, context: Context): Promise<void> {
    const receives = Number(attributes.ApproximateReceiveCount);
    const remaining = context.getRemainingTimeInMillis();
    const deadline = platform.now() + remaining - Math.min(longestMarginMs, marginShare * remaining);
    const othersWait = () => platform.queue.isWaiting(queue);
    try {
      await handleMessage(deployment, JSON.parse(body), { deadline, othersWait });
    } catch (error) {
      platform.log.error('A queue message failed. It is received again after a pause.', { queue, receives }, error);
      // Otherwise the message would stay hidden for the whole visibility timeout.
      await platform.queue.extend(queue, receiptHandle, pauseSeconds(receives)).catch(() => {});
      throw error;
    }
  }

  // A failed message does not fail the invocation. SQS delivers it again and finally dead-letters it.
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
