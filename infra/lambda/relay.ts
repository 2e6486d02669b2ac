/**
 * The activity stream → ledger and bus; once a minute, by schedule, what had to be put aside. `{"wake": [{"stream": "…", "version": 7}]}`, as
 * the reconcile sends it, stands for stream records that never came.
 */
import type { DynamoDBStreamEvent, ScheduledEvent } from 'aws-lambda';
import type { StreamNotification } from '../../domain/ports.ts';
import { openAws } from '../aws/platform.ts';
import { relayAgain, relayNotifications } from '../aws/relay-notifications.ts';
import { notificationsOf } from './stream-notifications.ts';

const platform = openAws();

export async function handler(
  event: DynamoDBStreamEvent | ScheduledEvent | { wake: StreamNotification[] },
): Promise<void> {
  if ('Records' in event) await relayNotifications(platform, notificationsOf(event, platform.log));
  else if ('wake' in event) await relayNotifications(platform, event.wake);
  else await relayAgain(platform);
}
