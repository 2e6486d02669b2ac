/**
 * Enters commits of the activity stream in the ledger and publishes them on the bus. A schedule retries the accounts
 * that were set aside once a minute. The reconcile sends `{"wake": [{"stream": "…", "version": 7}]}` for lost records.
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
