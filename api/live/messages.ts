/**
 * What a live socket says, made from the log and nothing else: the same place in the ledger always gives the same messages, so that
 * one who comes back gets what was missed, as it was.
 */
import { activityItem, type OpenedEntry } from '../../activity/feed.ts';
import { decryptFields } from '../../activity/personal-data.ts';
import type { JsonObject, Platform } from '../../domain/ports.ts';
import { runView } from '../../projections/runs.ts';
import { type Runs, runBefore, runChange } from './run-views.ts';

export type LiveMessage = {
  /**
   * Grows with every message of the account. Its whole part is the ledger's number of the commit; a commit's first message has just
   * that, further ones lie between it and the next. So each message can be named, and whoever names the last one it got misses
   * nothing and gets nothing twice.
   */
  seq: number;
  type: 'run.progress' | 'run.finished' | 'activity';
  at: string;
  data: JsonObject;
};

/** The largest message, as API Gateway has it. */
const maxBytes = 128 * 1024;
/** Runs followed at the same time; of more, the ones that moved last. The others are found again when they move. */
const maxRuns = 100;

/** The messages of one ledger entry, in order. `runs` are the open runs before it, and after it once this resolves. */
export async function messagesOf(
  platform: Platform,
  account: string,
  { entry, events }: OpenedEntry,
  runs: Runs,
): Promise<LiveMessage[]> {
  const messages: Omit<LiveMessage, 'seq'>[] = [];
  for (const event of events) {
    const item = activityItem(entry, event);
    messages.push({
      type: 'activity',
      at: event.at,
      data: { ...item, data: await decryptFields(platform, account, item.data) },
    });
    const change = runChange(event);
    if (!change) continue;
    const { runId, onto } = change;
    const known =
      event.type === 'RunRequested' ? {} : (runs[runId] ?? (await runBefore(platform, account, runId, entry.seq)));
    const row = onto(known);
    delete runs[runId];
    // The ledger may put a batch behind the end of its run: the end stays the end.
    if (known.outcome) continue;
    if (!row.outcome) runs[runId] = row;
    const data = (await runView(platform, account, row)) as unknown as JsonObject;
    messages.push({ type: row.outcome ? 'run.finished' : 'run.progress', at: event.at, data });
  }
  for (const runId of Object.keys(runs).slice(0, -maxRuns)) delete runs[runId];
  return messages.map((message, i) => ({ seq: entry.seq + i / messages.length, ...message }));
}

/** The message as it is sent. What would be over 128 KB goes without what makes it so: a run's last errors, an item's data. */
export function textOf(message: LiveMessage): string {
  for (let { data } = message; ; ) {
    const text = JSON.stringify({ ...message, data });
    if (Buffer.byteLength(text) <= maxBytes) return text;
    const { errors } = data;
    data =
      Array.isArray(errors) && errors.length > 0
        ? { ...data, errors: errors.slice(0, Math.floor(errors.length / 2)) }
        : { ...data, data: null };
  }
}
