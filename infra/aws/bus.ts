/** The bus on EventBridge. The CDK app makes its rules from the processors' routes, and the rules deliver. */
import { type EventBridgeClient, EventBridgeServiceException, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import { inParallel } from '../../domain/parallel.ts';
import type { Bus, BusEvent } from '../../domain/ports.ts';
import { chunks } from './dynamo.ts';
import { pause } from './pauses.ts';

/** The source of events. Rules match it and the type of the event, which is the detail-type. */
export const busSource = 'listbackup';
/** The source of requests to serve an account's live sockets. They are no events of the product. */
export const liveSource = 'listbackup.live';

/** The bus is unavailable for all accounts. Publishing more now is useless. */
export class BusUnavailable extends Error {}

export function awsBus(events: () => EventBridgeClient, busName: () => string): Bus {
  return {
    async publish(busEvents) {
      await inParallel(4, chunks(busEvents, 10), async (chunk) => {
        let rest = chunk;
        for (let attempt = 1; rest.length > 0; attempt++) {
          const command = new PutEventsCommand({ Entries: rest.map((event) => toEntry(busName(), event)) });
          const answer = await events().send(command).catch(throwBusError);
          const outcomes = answer.Entries ?? [];
          const code = outcomes.find((outcome) => outcome.ErrorCode)?.ErrorCode;
          if (code && attempt === 6) throw refusalOf(code, answer.FailedEntryCount);
          rest = rest.filter((_, i) => outcomes[i]?.ErrorCode);
          if (rest.length > 0) await pause(attempt);
        }
      });
    },
  };
}

const busyCodes = ['ThrottlingException', 'InternalFailure', 'InternalException'];

function refusalOf(code: string, count = 0): Error {
  const message = `The bus refused ${count} events (${code}). Publish them again later.`;
  return busyCodes.includes(code) ? new BusUnavailable(message) : new Error(message);
}

/** Rethrows an error that the events themselves caused. Every other error becomes BusUnavailable. */
function throwBusError(error: unknown): never {
  const isInvalid =
    error instanceof EventBridgeServiceException && error.$fault === 'client' && !busyCodes.includes(error.name);
  throw isInvalid
    ? error
    : new BusUnavailable('The bus does not answer. Publish the events again later.', { cause: error });
}

/** Makes the pusher serve the account's live sockets soon, and tell them the progress of the run. */
export function awsNotifyLive(
  events: () => EventBridgeClient,
  busName: () => string,
): (account: string, runId?: string) => Promise<void> {
  return async (account, runId) => {
    const entry = {
      EventBusName: busName(),
      Source: liveSource,
      DetailType: 'live.requested',
      Detail: JSON.stringify({ account, runId }),
    };
    const answer = await events()
      .send(new PutEventsCommand({ Entries: [entry] }))
      .catch(throwBusError);
    const code = answer.Entries?.[0]?.ErrorCode;
    if (code)
      throw new Error(
        `The bus did not accept the request to serve the live sockets of ${account} (${code}). Try again.`,
      );
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
