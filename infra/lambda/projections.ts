/**
 * The activity stream → read models. A failure fails the whole batch, which is halved and tried again: what was applied is skipped by its
 * cursor. What is poison is parked by the runner, so that only the machine itself fails here.
 *
 * Once a minute, by schedule, it looks after the read models; and it does what an operator sends it:
 * `{"parked": {}}` lists, `{"unpark": {"projection": "jobs", "stream": "…"}}` lets go on (all of them without `stream`),
 * `{"rebuild": {"projection": "jobs"}}` begins a rebuild, which the schedule goes on with.
 */
import type { DynamoDBStreamEvent, ScheduledEvent } from 'aws-lambda';
import { type AdminCommand, handleAdminCommand } from '../../projections/engine/admin-commands.ts';
import { maintainProjections } from '../../projections/engine/maintain.ts';
import { handleNotifications } from '../../projections/engine/runner.ts';
import { projections } from '../../projections/index.ts';
import { openAws } from '../aws/platform.ts';
import { notificationsOf } from './stream-notifications.ts';

const platform = openAws();

/** Less than the schedule's minute: one visit is done, or stopped where the next goes on, before that comes. */
const visitMilliseconds = 50_000;

export async function handler(event: DynamoDBStreamEvent | ScheduledEvent | AdminCommand): Promise<unknown> {
  if ('Records' in event) return handleNotifications(platform, projections, notificationsOf(event, platform.log));
  if (!('detail-type' in event)) return handleAdminCommand(platform, projections, event);
  const end = platform.now() + visitMilliseconds;
  return maintainProjections(platform, projections, { stop: () => platform.now() >= end });
}
