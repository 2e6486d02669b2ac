/**
 * Makes the messages of live sockets from the ledger alone. The same ledger entry always gives the same messages, so
 * a client that reconnects gets exactly the messages it missed.
 */
import { activityItem, type OpenedEntry } from '../../activity/feed.ts';
import { decryptFields } from '../../activity/personal-data.ts';
import type { JsonObject, Platform } from '../../domain/ports.ts';
import { runView } from '../../projections/runs.ts';
import { type Runs, runBefore, runChange } from './run-views.ts';

export type LiveMessage = {
  /**
   * Increases with every message of the account. The integer part is the commit's number in the ledger. The first
   * message of a commit has exactly this number, the others lie between it and the next. A client resumes with the
   * `seq` of its last message.
   */
  seq: number;
  type: 'run.progress' | 'run.finished' | 'activity';
  at: string;
  data: JsonObject;
};

/** `Push` takes texts of this size. */
const maxBytes = 128 * 1024;
/** Keep the rows of this many open runs, those with the newest events. `runBefore` restores the others when needed. */
const maxRuns = 100;

/** Returns the messages of one ledger entry in order. Adds and removes open runs in `runs`. */
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
    const { runId, applyTo } = change;
    const known =
      event.type === 'RunRequested' ? {} : (runs[runId] ?? (await runBefore(platform, account, runId, entry.seq)));
    const row = applyTo(known);
    delete runs[runId];
    // The ledger may list a batch after the end of its run. `run.finished` stays the last message of the run.
    if (known.outcome) continue;
    if (!row.outcome) runs[runId] = row;
    const data = (await runView(platform, account, row)) as unknown as JsonObject;
    messages.push({ type: row.outcome ? 'run.finished' : 'run.progress', at: event.at, data });
  }
  for (const runId of Object.keys(runs).slice(0, -maxRuns)) delete runs[runId];
  return messages.map((message, i) => ({ seq: entry.seq + i / messages.length, ...message }));
}

/**
 * Returns the message as text of at most 128 KB. If it is larger, a run loses its last errors and an event its data.
 */
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
