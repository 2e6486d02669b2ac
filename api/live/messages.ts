/**
 * Makes the messages of live sockets. `activity` and `run.finished` come from the ledger, so a client that reconnects
 * gets exactly those it missed. `run.progress` tells how the run is now.
 */
import { activityItem, type OpenedEntry } from '../../activity/feed.ts';
import { decryptFields } from '../../activity/personal-data.ts';
import type { Recorded } from '../../domain/event.ts';
import type { JsonObject, Platform } from '../../domain/ports.ts';
import { getItem } from '../../projections/engine/projection.ts';
import { finishedRow, getRun, type RunEnd, runOf, runView } from '../../projections/runs.ts';

export type LiveMessage = {
  /**
   * Increases with every message of the account. The integer part is the commit's number in the ledger. The first
   * event of a commit has exactly this number, other messages lie between it and the next. Each message has its number
   * whether or not others are sent. A client resumes with the `seq` of its last message.
   */
  seq: number;
  type: 'run.progress' | 'run.finished' | 'activity';
  at: string;
  data: JsonObject;
};

/** `Push` takes texts of this size. */
const maxBytes = 128 * 1024;

/** An event about a run, and the `seq` of its message. */
type RunNews = { event: Recorded; seq: number };

/**
 * Returns the messages of these ledger entries in order. A run that has not ended gets one `run.progress`, after its
 * last event here. A run that has ended gets only `run.finished`, after the event of its end.
 */
export async function messagesOf(platform: Platform, account: string, opened: OpenedEntry[]): Promise<LiveMessage[]> {
  const messages: Promise<LiveMessage | undefined>[] = [];
  const runs = new Map<string, RunNews[]>();
  for (const { entry, events } of opened) {
    for (const [i, event] of events.entries()) {
      const item = activityItem(entry, event);
      messages.push(
        decryptFields(platform, account, item.data).then((data) => ({
          seq: entry.seq + i / events.length,
          type: 'activity',
          at: event.at,
          data: { ...item, data },
        })),
      );
      const runId = runOf(event);
      const news = { event, seq: entry.seq + (i + 0.5) / events.length };
      if (runId) runs.set(runId, [...(runs.get(runId) ?? []), news]);
    }
  }
  for (const [runId, news] of runs) messages.push(messageOfRun(platform, account, runId, news));
  const made = (await Promise.all(messages)).filter((message) => message !== undefined);
  return made.sort((a, b) => a.seq - b.seq);
}

async function messageOfRun(
  platform: Platform,
  account: string,
  runId: string,
  news: RunNews[],
): Promise<LiveMessage | undefined> {
  const end = news.find(({ event }) => event.type === 'RestorePointCreated' || event.type === 'RunEnded');
  if (end) {
    // The read model may be behind, and `run.finished` must not wait for it.
    const row = finishedRow((await getItem(platform, 'runs', account, runId)) ?? {}, end.event as RunEnd);
    const data = (await runView(platform, account, row)) as unknown as JsonObject;
    return { seq: end.seq, type: 'run.finished', at: end.event.at, data };
  }
  const last = news.at(-1);
  const view = last && (await getRun(platform, account, runId));
  // The read model may be ahead: then `run.finished` follows.
  if (!view || view.finishedAt !== null) return undefined;
  return { seq: last.seq, type: 'run.progress', at: last.event.at, data: view as unknown as JsonObject };
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
