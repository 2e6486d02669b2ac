/**
 * The activity stream → ledger and bus; once a minute, by schedule, what had to be put aside. `{"wake": [{"stream": "…", "version": 7}]}`, as
 * the reconcile sends it, stands for stream records that never came.
 */
import type { DynamoDBStreamEvent, ScheduledEvent } from 'aws-lambda';
import type { Wakeup } from '../../domain/ports.ts';
import { openAws } from '../aws/machine.ts';
import { relayAgain, relayWakeups } from '../aws/relay-wakeups.ts';
import { wakeupsOf } from './stream-wakeups.ts';

const machine = openAws();

export async function handler(event: DynamoDBStreamEvent | ScheduledEvent | { wake: Wakeup[] }): Promise<void> {
  if ('Records' in event) await relayWakeups(machine, wakeupsOf(event, machine.log));
  else if ('wake' in event) await relayWakeups(machine, event.wake);
  else await relayAgain(machine);
}
