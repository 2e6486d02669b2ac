/**
 * What the relay does with wake-ups. An account that fails, for whatever reason, is put aside and woken again later: neither it nor an
 * outage of the bus holds up the records behind it on the stream.
 */

import { parseStream } from '../../domain/event.ts';
import type { JsonObject, Machine, Wakeup } from '../../domain/ports.ts';
import { toBusEvents } from '../bus-events.ts';
import type { Relay } from './relay.ts';

type Parts = Pick<Machine, 'blobs' | 'records' | 'log'> & { relay: Relay };

const aside = 'relay-aside';

/** Resolves when each wake-up is done or durably put aside. */
export async function relayWakeups(machine: Parts, wakeups: Wakeup[]): Promise<void> {
  const failed = await attempt(machine, wakeups);
  await machine.records.putMany(failed.map((wakeup) => ({ ...place(wakeup), data: wakeup satisfies JsonObject })));
}

/** Tries again what was put aside, at most a thousand wake-ups; what fails again stays. */
export async function relayAgain(machine: Parts): Promise<void> {
  const { items } = await machine.records.query(aside, { limit: 1000 });
  const wakeups = items.map(({ data }) => data as Wakeup);
  const failed = new Set((await attempt(machine, wakeups)).map((wakeup) => place(wakeup).sk));
  const done = wakeups.map(place).filter(({ sk }) => !failed.has(sk));
  for (const key of done) await machine.records.write([{ op: 'delete', ...key }]);
}

function place({ stream, version }: Wakeup) {
  return { pk: aside, sk: `${stream}/${version}` };
}

/** The wake-ups of the accounts that failed. */
async function attempt(machine: Parts, wakeups: Wakeup[]): Promise<Wakeup[]> {
  const failed = new Set<string>();
  for (const { account, commits, error } of await machine.relay.sequence(wakeups)) {
    try {
      // What did come into the ledger is told even when the rest failed.
      await machine.relay.publish(account, (commit) => toBusEvents(machine, commit), commits);
      if (error !== undefined) throw error;
    } catch (cause) {
      failed.add(account);
      machine.log.error('relay put aside', { account }, cause);
    }
  }
  return wakeups.filter(({ stream }) => failed.has(parseStream(stream).account));
}
