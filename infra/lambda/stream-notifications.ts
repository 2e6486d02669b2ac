/** Records of the activity stream as stream notifications. */
import type { DynamoDBStreamEvent } from 'aws-lambda';
import type { Log, StreamNotification } from '../../domain/ports.ts';

export function notificationsOf(event: DynamoDBStreamEvent, log: Log): StreamNotification[] {
  return event.Records.map(({ eventName, dynamodb }) => {
    const stream = dynamodb?.Keys?.stream?.S;
    const version = Number(dynamodb?.Keys?.version?.N);
    if (stream === undefined || !Number.isSafeInteger(version))
      throw new Error('A record of the activity stream lacks its keys. Check the view type of the stream.');
    // IAM denies deletes and updates, but cannot require the condition of a put. An overwrite shows here.
    if (eventName !== 'INSERT') {
      log.error('A stored commit was changed. Find the writer in CloudTrail.', {
        eventName: eventName ?? 'unknown',
        stream,
        version,
      });
      log.measure({ ActivityChanged: 1 });
    }
    return { stream, version };
  });
}
