/**
 * What the relay does with wake-ups. An account that fails, for whatever reason, is put aside and woken again later: neither it nor an
 * outage of the bus holds up the records behind it on the stream. Once the bus is found away, the others of that visit are only entered in
 * their ledgers: to wait for it with each of them would take longer than a function has.
 */

import { announcements } from '../../activity/announce.ts';
import { parseStream } from '../../domain/event.ts';
import type { JsonObject, Platform, StreamNotification } from '../../domain/ports.ts';
import { BusAway } from './bus.ts';
import { inParallel } from './parallel.ts';
import type { Relay, Sequenced } from './relay.ts';

type Parts = Pick<Platform, 'blobs' | 'records' | 'log' | 'now'> & { relay: Relay };
type Aside = StreamNotification & { since: number };

const aside = 'relay-aside';

/** Resolves when each wake-up is done or durably put aside. */
export async function relayNotifications(platform: Parts, notifications: StreamNotification[]): Promise<void> {
  const failed = await attempt(platform, notifications, { isBusAway: false });
  const since = platform.now();
  await platform.records.putMany(
    failed.map((notification) => ({
      ...failedKey(notification),
      data: { ...notification, since } satisfies JsonObject,
    })),
  );
}

/** Tries again all that was put aside; what fails again stays, and is measured. */
export async function relayAgain(platform: Parts): Promise<void> {
  let left = 0;
  let since = platform.now();
  const visit = { isBusAway: false };
  for (let cursor: string | undefined; ; ) {
    const { items, next } = await platform.records.query(aside, { limit: 99, ...(cursor ? { cursor } : {}) });
    const notifications = items.map(({ data }) => data as Aside);
    const failed = new Set(await attempt(platform, notifications, visit));
    const done = notifications.filter((notification) => !failed.has(notification));
    if (done.length > 0)
      await platform.records.write(done.map((notification) => ({ op: 'delete', ...failedKey(notification) })));
    for (const each of notifications.filter((notification) => failed.has(notification))) {
      left++;
      since = Math.min(since, each.since);
    }
    if (!next) break;
    cursor = next;
  }
  if (left > 0) platform.log.measure({ RelayAside: left, LedgerLagSeconds: (platform.now() - since) / 1000 });
}

function failedKey({ stream, version }: StreamNotification) {
  return { pk: aside, sk: `${stream}/${version}` };
}

/** The wake-ups of the accounts that failed. */
async function attempt<W extends StreamNotification>(
  platform: Parts,
  notifications: W[],
  visit: { isBusAway: boolean },
): Promise<W[]> {
  const failed = new Set<string>();
  const tell = async ({ account, commits, error }: Sequenced): Promise<void> => {
    try {
      // What did come into the ledger is told even when the rest failed.
      if (!visit.isBusAway) await platform.relay.publish(account, (commit) => announcements(platform, commit), commits);
      else failed.add(account);
      if (error !== undefined) throw error;
    } catch (cause) {
      failed.add(account);
      visit.isBusAway ||= cause instanceof BusAway;
      platform.log.error('relay put aside', { account }, cause);
    }
  };
  const [first, ...rest] = await platform.relay.sequence(notifications);
  // Alone, so that only one waits for a bus that is away.
  if (first) await tell(first);
  await inParallel(8, rest, tell);
  return notifications.filter(({ stream }) => failed.has(parseStream(stream).account));
}
