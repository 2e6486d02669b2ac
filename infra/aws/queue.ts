/** Queues on SQS. The redrive policy of a queue names its dead-letter queue. */
import {
  ChangeMessageVisibilityBatchCommand,
  ChangeMessageVisibilityCommand,
  DeleteMessageBatchCommand,
  DeleteMessageCommand,
  GetQueueAttributesCommand,
  GetQueueUrlCommand,
  ReceiptHandleIsInvalid,
  ReceiveMessageCommand,
  SendMessageBatchCommand,
  type SendMessageBatchRequestEntry,
  type SQSClient,
  type Message as SqsMessage,
} from '@aws-sdk/client-sqs';
import { inParallel } from '../../domain/parallel.ts';
import type { JsonObject, Message, Queue, QueueName } from '../../domain/ports.ts';
import { maxMessage, messageText } from '../limits.ts';
import { pause } from './pauses.ts';

const batchMessages = 10;

export function awsQueue(sqs: () => SQSClient, url: (queue: QueueName) => string): Queue {
  const deadLetterUrls = new Map<QueueName, Promise<string>>();
  const deadLetterUrl = (queue: QueueName) => {
    const known = deadLetterUrls.get(queue) ?? deadLetterUrlOf(sqs(), url(queue));
    deadLetterUrls.set(queue, known);
    known.catch(() => deadLetterUrls.delete(queue));
    return known;
  };

  return {
    send: (queue, messages) => send(sqs(), url(queue), messages),

    async receive(queue, { max, visibilitySeconds, waitSeconds = 0 }) {
      const messages = await receive(sqs(), url(queue), { max, visibilitySeconds, waitSeconds });
      return messages.map((message) => ({
        body: bodyOf(message),
        receipt: message.ReceiptHandle ?? '',
        receives: Number(message.Attributes?.ApproximateReceiveCount ?? 1),
      }));
    },

    async ack(queue, receipt) {
      await sqs()
        .send(new DeleteMessageCommand({ QueueUrl: url(queue), ReceiptHandle: receipt }))
        .catch((error: unknown) => {
          // SQS accepts a second ack. The emulator refuses it.
          if (!(error instanceof ReceiptHandleIsInvalid)) throw error;
        });
    },

    async extend(queue, receipt, seconds) {
      await sqs().send(
        new ChangeMessageVisibilityCommand({
          QueueUrl: url(queue),
          ReceiptHandle: receipt,
          VisibilityTimeout: seconds,
        }),
      );
    },

    async isWaiting(queue) {
      const answer = await sqs().send(
        new GetQueueAttributesCommand({ QueueUrl: url(queue), AttributeNames: ['ApproximateNumberOfMessages'] }),
      );
      return Number(answer.Attributes?.ApproximateNumberOfMessages ?? 0) > 0;
    },

    /** Returns at most 1,000. */
    async deadLetters(queue) {
      const dead = await deadLetterUrl(queue);
      const received: SqsMessage[] = [];
      try {
        // SQS cannot read without receiving. Received messages stay hidden until the end, then become visible again.
        while (received.length < 1000) {
          const batch = await receive(sqs(), dead, { max: batchMessages, visibilitySeconds: 60, waitSeconds: 0 });
          if (batch.length === 0) break;
          received.push(...batch);
        }
      } finally {
        await inParallel(4, batches(received), async (batch) => {
          const Entries = batch.map((message, i) => ({
            Id: String(i),
            ReceiptHandle: message.ReceiptHandle,
            VisibilityTimeout: 0,
          }));
          await sqs().send(new ChangeMessageVisibilityBatchCommand({ QueueUrl: dead, Entries }));
        });
      }
      return received.map(bodyOf);
    },

    /** At least once: a message may be in both queues for a moment, but never in neither. */
    async redrive(queue) {
      const dead = await deadLetterUrl(queue);
      for (let moved = 0; ; ) {
        const batch = await receive(sqs(), dead, { max: batchMessages, visibilitySeconds: 60, waitSeconds: 0 });
        if (batch.length === 0) return moved;
        await send(
          sqs(),
          url(queue),
          batch.map((message) => ({ body: bodyOf(message) })),
        );
        const Entries = batch.map((message, i) => ({ Id: String(i), ReceiptHandle: message.ReceiptHandle }));
        await sqs().send(new DeleteMessageBatchCommand({ QueueUrl: dead, Entries }));
        moved += batch.length;
      }
    },
  };
}

async function deadLetterUrlOf(sqs: SQSClient, url: string): Promise<string> {
  const answer = await sqs.send(new GetQueueAttributesCommand({ QueueUrl: url, AttributeNames: ['RedrivePolicy'] }));
  const policy: { deadLetterTargetArn?: string } = JSON.parse(answer.Attributes?.RedrivePolicy ?? '{}');
  const name = policy.deadLetterTargetArn?.split(':').at(-1);
  if (!name) throw new Error(`Queue ${url} has no dead-letter queue. Deploy the stack again.`);
  const found = await sqs.send(new GetQueueUrlCommand({ QueueName: name }));
  return found.QueueUrl ?? '';
}

async function receive(
  sqs: SQSClient,
  QueueUrl: string,
  { max, visibilitySeconds, waitSeconds }: { max: number; visibilitySeconds: number; waitSeconds: number },
): Promise<SqsMessage[]> {
  const answer = await sqs.send(
    new ReceiveMessageCommand({
      QueueUrl,
      MaxNumberOfMessages: Math.min(max, batchMessages),
      VisibilityTimeout: visibilitySeconds,
      WaitTimeSeconds: Math.min(waitSeconds, 20),
      MessageSystemAttributeNames: ['ApproximateReceiveCount'],
    }),
  );
  return answer.Messages ?? [];
}

async function send(sqs: SQSClient, QueueUrl: string, messages: Message[]): Promise<void> {
  const entries = messages.map((message, i) => ({
    Id: String(i),
    MessageBody: messageText(message),
    ...(message.delaySeconds === undefined ? {} : { DelaySeconds: message.delaySeconds }),
    ...(message.group === undefined ? {} : { MessageGroupId: message.group }),
  }));
  await inParallel(4, batchesBySize(entries), async (batch) => {
    let rest = batch;
    for (let attempt = 1; rest.length > 0; attempt++) {
      const answer = await sqs.send(new SendMessageBatchCommand({ QueueUrl, Entries: rest }));
      const failed = answer.Failed ?? [];
      const refused = failed.find((failure) => failure.SenderFault);
      if (refused) throw new Error(`Queue ${QueueUrl} refused a message: ${refused.Code}. Correct the message.`);
      if (failed.length > 0 && attempt === 8)
        throw new Error(`Queue ${QueueUrl} did not take ${failed.length} messages (${failed[0]?.Code}). Try again.`);
      const failedIds = new Set(failed.map((failure) => failure.Id));
      rest = rest.filter((entry) => failedIds.has(entry.Id));
      if (rest.length > 0) await pause(attempt);
    }
  });
}

function bodyOf(message: SqsMessage): JsonObject {
  return JSON.parse(message.Body ?? '{}');
}

function batches<T>(all: T[]): T[][] {
  return Array.from({ length: Math.ceil(all.length / batchMessages) }, (_, i) =>
    all.slice(i * batchMessages, (i + 1) * batchMessages),
  );
}

/** SQS limits a batch to the size of one message. */
function batchesBySize<E extends SendMessageBatchRequestEntry>(entries: E[]): E[][] {
  const out: E[][] = [];
  let room = 0;
  for (const entry of entries) {
    const bytes = Buffer.byteLength(entry.MessageBody ?? '');
    const batch = out.at(-1);
    if (batch && batch.length < batchMessages && bytes <= room) {
      batch.push(entry);
      room -= bytes;
    } else {
      out.push([entry]);
      room = maxMessage - bytes;
    }
  }
  return out;
}
