/** Processes a batch of queue messages, each by itself. A failed message becomes visible again after a pause. */
import { BatchProcessor, EventType, processPartialResponse } from '@aws-lambda-powertools/batch';
import type { Context, SQSBatchResponse, SQSEvent, SQSRecord } from 'aws-lambda';
import { SourceProblem } from '../../connectors/connector.ts';
import type { QueueName } from '../../domain/ports.ts';
import type { Deployment } from '../../processors/deployment.ts';
import { askedPause, handleMessage } from '../../processors/runner.ts';

/** A step stops this long before the timeout of the function and sends the rest as another message. */
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
      // `handleMessage` has logged a problem of the source, with its run.
      if (!(error instanceof SourceProblem))
        platform.log.error('A queue message failed. It is received again after a pause.', { queue, receives }, error);
      // Otherwise the message would stay hidden for the whole visibility timeout.
      await platform.queue.extend(queue, receiptHandle, askedPause(error) ?? pauseSeconds(receives)).catch(() => {});
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
