/** The bus is EventBridge; its rules, made by the CDK app from the processors' routes, do the delivering. */
import { type EventBridgeClient, EventBridgeServiceException, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import type { Bus, BusEvent } from '../../domain/ports.ts';
import { chunks } from './dynamo.ts';
import { inParallel, pause } from './parallel.ts';

/** What rules match on besides the type of the event, which is the detail-type. */
export const busSource = 'listbackup';
/** The source of what is no event of the product: a live socket of that account wants to be served. */
export const liveSource = 'listbackup.live';

/** The bus takes nobody's events just now: there is no use in offering it more. */
export class BusAway extends Error {}

export function awsBus(events: () => EventBridgeClient, busName: () => string): Bus {
  return {
    async publish(all) {
      await inParallel(4, chunks(all, 10), async (chunk) => {
        let rest = chunk;
        for (let attempt = 1; rest.length > 0; attempt++) {
          const command = new PutEventsCommand({ Entries: rest.map((event) => toEntry(busName(), event)) });
          const answer = await events().send(command).catch(rethrow);
          const outcomes = answer.Entries ?? [];
          const code = outcomes.find((outcome) => outcome.ErrorCode)?.ErrorCode;
          if (code && attempt === 6) throw refusal(code, answer.FailedEntryCount);
          rest = rest.filter((_, i) => outcomes[i]?.ErrorCode);
          if (rest.length > 0) await pause(attempt);
        }
      });
    },
  };
}

const busy = ['ThrottlingException', 'InternalFailure', 'InternalException'];

function refusal(code: string, events = 0): Error {
  const message = `the bus did not take ${events} events: ${code}`;
  return busy.includes(code) ? new BusAway(message) : new Error(message);
}

/** What was wrong with the events themselves as it is; everything else as BusAway. */
function rethrow(error: unknown): never {
  const refused =
    error instanceof EventBridgeServiceException && error.$fault === 'client' && !busy.includes(error.name);
  throw refused ? error : new BusAway('the bus does not answer', { cause: error });
}

/** Has the account's live sockets served soon. */
export function awsWakeLive(
  events: () => EventBridgeClient,
  busName: () => string,
): (account: string) => Promise<void> {
  return async (account) => {
    const entry = {
      EventBusName: busName(),
      Source: liveSource,
      DetailType: 'live.woken',
      Detail: JSON.stringify({ account }),
    };
    const answer = await events().send(new PutEventsCommand({ Entries: [entry] }));
    const code = answer.Entries?.[0]?.ErrorCode;
    if (code) throw new Error(`the bus did not take a wake: ${code}`);
  };
}

function toEntry(EventBusName: string, event: BusEvent) {
  return {
    EventBusName,
    Source: busSource,
    DetailType: event.type,
    Detail: JSON.stringify(event),
    Time: new Date(event.at),
  };
}
