/**
 * What the relay does with wake-ups. An account that fails, for whatever reason, is put aside and woken again later: neither it nor an
 * outage of the bus holds up the records behind it on the stream. Once the bus is found away, the others of that visit are only entered in
 * their ledgers: to wait for it with each of them would take longer than a function has.
 */

import { announcements } from '../../activity/announce.ts';
import { parseStream } from '../../domain/event.ts';
import type { JsonObject, Machine, Wakeup } from '../../domain/ports.ts';
import { BusAway } from './bus.ts';
import { inParallel } from './parallel.ts';
import type { Relay, Sequenced } from './relay.ts';

type Parts = Pick<Machine, 'blobs' | 'records' | 'log' | 'now'> & { relay: Relay };
type Aside = Wakeup & { since: number };

const aside = 'relay-aside';

/** Resolves when each wake-up is done or durably put aside. */
export async function relayWakeups(machine: Parts, wakeups: Wakeup[]): Promise<void> {
  const failed = await attempt(machine, wakeups, { isBusAway: false });
  const since = machine.now();
  await machine.records.putMany(failed.map((wakeup) => ({ ...place(wakeup), data: { ...wakeup, since } satisfies JsonObject })));
}

/** Tries again all that was put aside; what fails again stays, and is measured. */
export async function relayAgain(machine: Parts): Promise<void> {
  let left = 0;
  let since = machine.now();
  const visit = { isBusAway: false };
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await machine.records.query(aside, { limit: 99, ...(cursor ? { cursor } : {}) });
    const wakeups = items.map(({ data }) => data as Aside);
    const failed = new Set(await attempt(machine, wakeups, visit));
    const done = wakeups.filter((wakeup) => !failed.has(wakeup));
    if (done.length > 0) await machine.records.write(done.map((wakeup) => ({ op: 'delete', ...place(wakeup) })));
    for (const each of wakeups.filter((wakeup) => failed.has(wakeup))) {
      left++;
      since = Math.min(since, each.since);
    }
    if (!next) break;
    cursor = next;
  }
  if (left > 0) machine.log.measure({ RelayAside: left, LedgerLagSeconds: (machine.now() - since) / 1000 });
}

function place({ stream, version }: Wakeup) {
  return { pk: aside, sk: `${stream}/${version}` };
}

/** The wake-ups of the accounts that failed. */
async function attempt<W extends Wakeup>(machine: Parts, wakeups: W[], visit: { isBusAway: boolean }): Promise<W[]> {
  const failed = new Set<string>();
  const tell = async ({ account, commits, error }: Sequenced): Promise<void> => {
    try {
      // What did come into the ledger is told even when the rest failed.
      if (!visit.isBusAway) await machine.relay.publish(account, (commit) => announcements(machine, commit), commits);
      else failed.add(account);
      if (error !== undefined) throw error;
    } catch (cause) {
      failed.add(account);
      visit.isBusAway ||= cause instanceof BusAway;
      machine.log.error('relay put aside', { account }, cause);
    }
  };
  const [first, ...rest] = await machine.relay.sequence(wakeups);
  // Alone, so that only one waits for a bus that is away.
  if (first) await tell(first);
  await inParallel(8, rest, tell);
  return wakeups.filter(({ stream }) => failed.has(parseStream(stream).account));
}
