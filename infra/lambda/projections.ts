/**
 * Applies the activity stream to the read models. A failure fails the whole batch, and Lambda halves and repeats it.
 * Cursors skip the commits that were applied. The runner parks poison commits, so only the platform can fail here.
 *
 * A schedule runs the maintenance of the read models once a minute. Operators send admin commands:
 * - `{"parked": {}}` lists parked streams.
 * - `{"unpark": {"projection": "jobs", "stream": "…"}}` lets them continue, all of them without `stream`.
 * - `{"rebuild": {"projection": "jobs"}}` begins a rebuild, which the schedule continues.
 */
import type { DynamoDBStreamEvent, ScheduledEvent } from 'aws-lambda';
import { type AdminCommand, handleAdminCommand } from '../../projections/engine/admin-commands.ts';
import { maintainProjections } from '../../projections/engine/maintain.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { projections } from '../../projections/index.ts';
import { openAws } from '../aws/platform.ts';
import { notificationsOf } from './stream-notifications.ts';

const platform = openAws();

/** Less than the minute of the schedule, so that a visit ends before the next one begins. */
const visitMilliseconds = 50_000;

export async function handler(event: DynamoDBStreamEvent | ScheduledEvent | AdminCommand): Promise<unknown> {
  if ('Records' in event) return handleNotifications(platform, projections, notificationsOf(event, platform.log));
  if (!('detail-type' in event)) return handleAdminCommand(platform, projections, event);
  const end = platform.now() + visitMilliseconds;
  return maintainProjections(platform, projections, { stop: () => platform.now() >= end });
}
