/** Records of the activity stream as the wake-ups they are. */
import type { DynamoDBStreamEvent } from 'aws-lambda';
import type { Log, StreamNotification } from '../../domain/ports.ts';

export function notificationsOf(event: DynamoDBStreamEvent, log: Log): StreamNotification[] {
  return event.Records.map(({ eventName, dynamodb }) => {
    const stream = dynamodb?.Keys?.stream?.S;
    const version = Number(dynamodb?.Keys?.version?.N);
    if (stream === undefined || !Number.isSafeInteger(version))
      throw new Error('a record of the activity stream lacks its keys');
    // No role may do this, but IAM cannot demand the condition of a put: it would show here.
    if (eventName !== 'INSERT') {
      log.error('activity was changed', { eventName: eventName ?? 'unknown', stream, version });
      log.measure({ ActivityChanged: 1 });
    }
    return { stream, version };
  });
}
