/**
 * The activity stream → read models. A failure fails the whole batch, which is halved and tried again: what was applied is skipped by its
 * cursor. What is poison is parked by the runner, so that only the machine itself fails here.
 */
import type { DynamoDBStreamEvent } from 'aws-lambda';
import { projections } from '../../projections/index.ts';
import { handleWakeups } from '../../projections/runner.ts';
import { openAws } from '../aws/machine.ts';
import { wakeupsOf } from './stream-wakeups.ts';

const machine = openAws();

export async function handler(event: DynamoDBStreamEvent): Promise<void> {
  await handleWakeups(machine, projections, wakeupsOf(event, machine.log));
}
