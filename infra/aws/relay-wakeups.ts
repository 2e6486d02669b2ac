/**
 * What the relay does with wake-ups. An account that fails, for whatever reason, is put aside and woken again later: neither it nor an
 * outage of the bus holds up the records behind it on the stream.
 */

import { announcements } from '../../activity/announce.ts';
import { parseStream } from '../../domain/event.ts';
import type { JsonObject, Machine, Wakeup } from '../../domain/ports.ts';
import type { Relay } from './relay.ts';

type Parts = Pick<Machine, 'blobs' | 'records' | 'log'> & { relay: Relay };

const aside = 'relay-aside';

/** Resolves when each wake-up is done or durably put aside. */
export async function relayWakeups(machine: Parts, wakeups: Wakeup[]): Promise<void> {
  const failed = await attempt(machine, wakeups);
  await machine.records.putMany(failed.map((wakeup) => ({ ...place(wakeup), data: wakeup satisfies JsonObject })));
}

/** Tries again all that was put aside; what fails again stays. */
export async function relayAgain(machine: Parts): Promise<void> {
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await machine.records.query(aside, { limit: 99, ...(cursor ? { cursor } : {}) });
    const wakeups = items.map(({ data }) => data as Wakeup);
    const failed = new Set(await attempt(machine, wakeups));
    const done = wakeups.filter((wakeup) => !failed.has(wakeup));
    if (done.length > 0) await machine.records.write(done.map((wakeup) => ({ op: 'delete', ...place(wakeup) })));
    if (!next) return;
    cursor = next;
  }
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
      await machine.relay.publish(account, (commit) => announcements(machine, commit), commits);
      if (error !== undefined) throw error;
    } catch (cause) {
      failed.add(account);
      machine.log.error('relay put aside', { account }, cause);
    }
  }
  return wakeups.filter(({ stream }) => failed.has(parseStream(stream).account));
}
