/**
 * The relay's handling of stream notifications. After an account's events it calls the pusher, if the account has live
 * sockets. It sets aside an account that fails and retries it every minute. Thus
 * neither that account nor an outage of the bus blocks later records of the stream.
 *
 * Once the bus is unavailable, the other accounts of the visit are only entered in their ledgers and set aside. Waiting
 * for the bus with each of them would take longer than a function may run.
 */

import { announcements } from '../../activity/announce.ts';
import { hasConnections } from '../../api/live/connections.ts';
import { parseStream } from '../../domain/event.ts';
import { pagesOf } from '../../domain/pages.ts';
import { inParallel } from '../../domain/parallel.ts';
import type { JsonObject, StreamNotification } from '../../domain/ports.ts';
import { BusUnavailable } from './bus.ts';
import type { AwsPlatform } from './platform.ts';
import type { Sequenced } from './relay.ts';

type Parts = Pick<AwsPlatform, 'blobs' | 'records' | 'log' | 'now' | 'relay' | 'notifyLive'>;
/** `since`: when the notification was first set aside, in milliseconds since the epoch. */
type SetAside = StreamNotification & { since: number };

const setAsidePk = 'relay-aside';

/** Resolves when each notification is relayed or durably set aside. */
export async function relayNotifications(platform: Parts, notifications: StreamNotification[]): Promise<void> {
  const failed = await relay(platform, notifications, { isBusUnavailable: false });
  const since = platform.now();
  await platform.records.putMany(
    failed.map((notification) => ({
      ...keyOf(notification),
      data: { ...notification, since } satisfies JsonObject,
    })),
  );
}

/** Retries all notifications that were set aside. Those that fail again stay and are measured. */
export async function relayAgain(platform: Parts): Promise<void> {
  let left = 0;
  let oldest = platform.now();
  const visit = { isBusUnavailable: false };
  for await (const page of pagesOf((page) => platform.records.query(setAsidePk, page), 99)) {
    const notifications = page.map(({ data }) => data as SetAside);
    const failed = new Set(await relay(platform, notifications, visit));
    const relayed = notifications.filter((notification) => !failed.has(notification));
    if (relayed.length > 0)
      await platform.records.write(relayed.map((notification) => ({ op: 'delete', ...keyOf(notification) })));
    for (const { since } of failed) {
      left++;
      oldest = Math.min(oldest, since);
    }
  }
  if (left > 0) platform.log.measure({ RelaySetAside: left, LedgerLagSeconds: (platform.now() - oldest) / 1000 });
}

function keyOf({ stream, version }: StreamNotification) {
  return { pk: setAsidePk, sk: `${stream}/${version}` };
}

/** Enters commits in the ledgers and publishes them. Returns the notifications of the accounts that failed. */
async function relay<N extends StreamNotification>(
  platform: Parts,
  notifications: N[],
  visit: { isBusUnavailable: boolean },
): Promise<N[]> {
  const failed = new Set<string>();
  const publish = async ({ account, commits, error }: Sequenced): Promise<void> => {
    try {
      // Commits that are in the ledger are published even when later ones failed.
      if (visit.isBusUnavailable) failed.add(account);
      else {
        await platform.relay.publish(account, (commit) => announcements(platform, commit), commits);
        // The ledger has the commits, so a socket that registers after this read asks for them itself.
        if (await hasConnections(platform, account)) await platform.notifyLive(account);
      }
      if (error !== undefined) throw error;
    } catch (cause) {
      failed.add(account);
      visit.isBusUnavailable ||= cause instanceof BusUnavailable;
      platform.log.error('The relay set an account aside. It retries every minute.', { account }, cause);
    }
  };
  const [first, ...rest] = await platform.relay.sequence(notifications);
  // The first account goes alone, so that only one call waits for a bus that is unavailable.
  if (first) await publish(first);
  await inParallel(8, rest, publish);
  return notifications.filter(({ stream }) => failed.has(parseStream(stream).account));
}
