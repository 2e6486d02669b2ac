/**
 * Enters commits of the activity stream in the ledger and publishes them on the bus. A schedule retries the accounts
 * that were set aside once a minute. For lost records the reconcile sends `{"notify": [{"stream": "…", "version":
 * 7}]}`.
 */
import type { DynamoDBStreamEvent, ScheduledEvent } from 'aws-lambda';
import type { StreamNotification } from '../../domain/ports.ts';
import { openAws } from '../aws/platform.ts';
import { relayAgain, relayNotifications } from '../aws/relay-notifications.ts';
import { notificationsOf } from './stream-notifications.ts';

const platform = openAws();

export async function handler(
  event: DynamoDBStreamEvent | ScheduledEvent | { notify: StreamNotification[] },
): Promise<void> {
  if ('Records' in event) await relayNotifications(platform, notificationsOf(event, platform.log));
  else if ('notify' in event) await relayNotifications(platform, event.notify);
  else await relayAgain(platform);
}
