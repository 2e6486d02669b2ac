/** The bus is EventBridge; its rules, made by the CDK app from the processors' routes, do the delivering. */
import { type EventBridgeClient, PutEventsCommand } from '@aws-sdk/client-eventbridge';
import type { Bus, BusEvent } from '../../domain/ports.ts';
import { chunks } from './dynamo.ts';
import { inParallel, pause } from './parallel.ts';

/** What rules match on besides the type of the event, which is the detail-type. */
export const busSource = 'listbackup';

export function awsBus(events: () => EventBridgeClient, busName: () => string): Bus {
  return {
    async publish(all) {
      await inParallel(4, chunks(all, 10), async (chunk) => {
        let rest = chunk;
        for (let attempt = 1; rest.length > 0; attempt++) {
          const answer = await events().send(new PutEventsCommand({ Entries: rest.map((event) => toEntry(busName(), event)) }));
          const outcomes = answer.Entries ?? [];
          const code = outcomes.find((outcome) => outcome.ErrorCode)?.ErrorCode;
          if (code && attempt === 6) throw new Error(`the bus did not take ${answer.FailedEntryCount} events: ${code}`);
          rest = rest.filter((_, i) => outcomes[i]?.ErrorCode);
          if (rest.length > 0) await pause(attempt);
        }
      });
    },
  };
}

function toEntry(EventBusName: string, event: BusEvent) {
  return { EventBusName, Source: busSource, DetailType: event.type, Detail: JSON.stringify(event), Time: new Date(event.at) };
}
