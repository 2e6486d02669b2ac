/**
 * The activity stream → read models. A failure fails the whole batch, which is halved and tried again: what was applied is skipped by its
 * cursor. What is poison is parked by the runner, so that only the machine itself fails here.
 *
 * Once a minute, by schedule, it looks after the read models; and it does what an operator sends it:
 * `{"parked": {}}` lists, `{"unpark": {"projection": "jobs", "stream": "…"}}` lets go on (all of them without `stream`),
 * `{"rebuild": {"projection": "jobs"}}` begins a rebuild, which the schedule goes on with.
 */
import type { DynamoDBStreamEvent, ScheduledEvent } from 'aws-lambda';
import { projections } from '../../projections/index.ts';
import { handleOrder, type Order } from '../../projections/orders.ts';
import { handleWakeups } from '../../projections/runner.ts';
import { tendProjections } from '../../projections/tend.ts';
import { openAws } from '../aws/machine.ts';
import { wakeupsOf } from './stream-wakeups.ts';

const machine = openAws();

/** Less than the schedule's minute: one visit is done, or stopped where the next goes on, before that comes. */
const visitMilliseconds = 50_000;

export async function handler(event: DynamoDBStreamEvent | ScheduledEvent | Order): Promise<unknown> {
  if ('Records' in event) return handleWakeups(machine, projections, wakeupsOf(event, machine.log));
  if (!('detail-type' in event)) return handleOrder(machine, projections, event);
  const end = machine.now() + visitMilliseconds;
  return tendProjections(machine, projections, { stop: () => machine.now() >= end });
}
