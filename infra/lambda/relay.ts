/** The activity stream → ledger and bus; once a minute, by schedule, what had to be put aside. */
import type { DynamoDBStreamEvent, ScheduledEvent } from 'aws-lambda';
import { openAws } from '../aws/machine.ts';
import { relayAgain, relayWakeups } from '../aws/relay-wakeups.ts';
import { wakeupsOf } from './stream-wakeups.ts';

const machine = openAws();

export async function handler(event: DynamoDBStreamEvent | ScheduledEvent): Promise<void> {
  if ('Records' in event) await relayWakeups(machine, wakeupsOf(event, machine.log));
  else await relayAgain(machine);
}
