/** Test data for live sockets: runs in the ledger, and sockets that record their messages. */
import { expect, onTestFinished } from 'vitest';
import { openEntries } from '../../../activity/feed.ts';
import { transact as append } from '../../../activity/store.ts';
import type { Live } from '../../../api/live/deliver.ts';
import { admit } from '../../../api/live/handshake.ts';
import { type LiveMessage, messagesOf } from '../../../api/live/messages.ts';
import { issueTicket } from '../../../api/live/tickets.ts';
import { openSession } from '../../../api/sessions.ts';
import { readProgress } from '../../../commands/cancel-run.ts';
import {
  backupChain,
  backupChainId,
  createRestorePoint,
  endRun,
  pauseRun,
  requestRun,
} from '../../../domain/backup-chain.ts';
import { streamName } from '../../../domain/event.ts';
import type { JsonObject, Platform } from '../../../domain/ports.ts';
import { type BatchCounts, noProgress, progressKey } from '../../../domain/run.ts';
import { handleNotifications } from '../../../projections/engine/runner.ts';
import { projections } from '../../../projections/index.ts';
import { ada, type TestPlatform, testPlatform } from '../../support/api.ts';

export const account = ada.accountId;
const cause = { actor: { type: 'system' as const, id: 'test' }, correlationId: 'test' };
const counts: BatchCounts = {
  filesDone: 10,
  filesDeleted: 0,
  filesFailed: 0,
  filesSkipped: 0,
  bytesRead: 100,
  bytesStored: 50,
};
const cost = { requests: 2, usd: 0.5 };

/**
 * The steps of a run. Each appends a commit and applies it to the read models. Those that only change the progress of a
 * run pause or resume it, so that the ledger has news of the run.
 */
export function runSteps(platform: Platform, runId: string, batches: number) {
  const transact: typeof append = async (...call) => {
    const appended = await append(...call);
    await handleNotifications(platform, projections, [appended]);
    return appended;
  };
  const runRef = { runId, jobId: `job_${runId}`, sourceId: 'src_1' };
  const by = (step: string) => ({ ...cause, commandId: `${runId} ${step}` });
  const stream = streamName(account, 'backup-chain', backupChainId(runRef.jobId, runRef.sourceId));
  const total = batches * 10;
  let isPaused = false;
  const progress = async (step: string, change: { set?: JsonObject; add?: { [field: string]: number } }) => {
    await platform.records.write([{ op: 'add', ...progressKey(account, runId), ...change }]);
    isPaused = !isPaused;
    return transact(platform, backupChain, stream, pauseRun(runRef, isPaused), by(step));
  };
  return {
    request: () => transact(platform, backupChain, stream, requestRun(runRef, 'then'), by('request')),
    start: () => progress('start', { set: noProgress('then') }),
    plan: () =>
      progress('plan', {
        set: { filesTotal: total + 5, filesUnchanged: 5, bytesTotal: batches * 100, isPlanned: true },
      }),
    store: (n: number) => progress(`store ${n}`, { add: { ...counts, ...cost, bytesHandled: 100 } }),
    finish: async (outcome: 'succeeded' | 'failed' | 'cancelled' = 'succeeded') => {
      const found = await readProgress(platform, account, runId);
      if (outcome !== 'succeeded') {
        const end = endRun(runRef, { outcome, reason: null, ...found });
        return transact(platform, backupChain, stream, end, by('finish'));
      }
      const totals = { files: total + 5, folders: 0, links: 0, bytes: batches * 100 };
      const final = { ...found.counts, filesDone: total, bytesRead: batches * 100, bytesStored: batches * 50 + 7 };
      const restorePoint = createRestorePoint(runRef, {
        ...{ outcome, manifest: { id: 'm', hash: 'h' }, totals, since: null, at: 'then', errors: [], errorPages: 0 },
        ...{ startedAt: found.startedAt, counts: final, cost },
      });
      return transact(platform, backupChain, stream, restorePoint, by('finish'));
    },
  };
}

/** Appends all commits of a run. */
export async function wholeRun(platform: Platform, runId: string, batches: number): Promise<void> {
  const steps = runSteps(platform, runId, batches);
  await steps.request();
  await steps.start();
  await steps.plan();
  for (let n = 0; n < batches; n++) await steps.store(n);
  await steps.finish();
}

/** The messages of all ledger entries after `afterSeq` together, as the read models are now. */
export async function messagesAfter(platform: Platform, afterSeq = 0): Promise<LiveMessage[]> {
  const entries = await platform.events.ledger(account, { afterSeq, order: 'asc', limit: 1000 });
  return messagesOf(platform, account, await openEntries(platform, account, entries));
}

/** The messages that a socket must get whenever it gets them: all but `run.progress`. */
export async function lastingAfter(platform: Platform, afterSeq = 0): Promise<LiveMessage[]> {
  return lasting(await messagesAfter(platform, Math.max(0, Math.floor(afterSeq) - 1))).filter(
    ({ seq }) => seq > afterSeq,
  );
}

export function lasting(messages: LiveMessage[]): LiveMessage[] {
  return messages.filter(({ type }) => type !== 'run.progress');
}

/**
 * Expects the messages that a client must get after `afterSeq`, each once and in order. Progress may come between them.
 * It never decreases, and none follows the end of its run.
 */
export async function expectAll(platform: Platform, messages: LiveMessage[], afterSeq = 0): Promise<void> {
  expect(lasting(messages)).toEqual(await lastingAfter(platform, afterSeq));
  expectOrder(messages);
}

export function expectOrder(messages: LiveMessage[]): void {
  const seqs = messages.map(({ seq }) => seq);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  const ended = new Set<unknown>();
  const highest = new Map<unknown, { [count: string]: number | null }>();
  for (const { type, data } of messages.filter(({ type }) => type !== 'activity')) {
    expect(ended, `${type} after the end`).not.toContain(data.id);
    if (type === 'run.finished') ended.add(data.id);
    const progress = data.progress as { [count: string]: number | null };
    for (const [count, value] of Object.entries(highest.get(data.id) ?? {}))
      expect(progress[count] ?? 0, count).toBeGreaterThanOrEqual(value ?? 0);
    highest.set(data.id, progress);
  }
}

/** The turn of the account's set, empty if no process is sending. */
export async function turnOf({ records }: Platform): Promise<unknown> {
  return (await records.get({ pk: `live-set#${account}`, sk: 'set' }))?.data.turn;
}

/** Takes the turn of the set for a process that dies. Resolves to the time when the turn expires. */
export async function holdTurn({ records, now }: Platform): Promise<number> {
  const key = { pk: `live-set#${account}`, sk: 'set' };
  const turnEnds = now() + 60_000;
  await records.write([{ op: 'add', ...key, set: { turn: 'of a dead process', turnEnds } }]);
  return turnEnds;
}

/** A recording socket. `take` decides about each message: `sent`, or `gone` if the socket is closed. */
export type Socket = { messages: LiveMessage[]; closed: boolean; take(message: LiveMessage): Promise<'sent' | 'gone'> };

export type World = {
  platform: TestPlatform;
  live: Live;
  sockets: Map<string, Socket>;
  connect(id: string, since?: number): Promise<Socket>;
};

/** A platform with recording sockets, which accept every message unless a test replaces `take`. */
export async function liveWorld(): Promise<World> {
  const inner = await testPlatform();
  const sockets = new Map<string, Socket>();
  onTestFinished(() => sockets.clear());
  const platform: TestPlatform = {
    ...inner,
    push: {
      async send(id, text) {
        const socket = sockets.get(id);
        if (!socket || socket.closed) return 'gone';
        const message: LiveMessage = JSON.parse(text);
        const outcome = await socket.take(message);
        if (outcome === 'sent') socket.messages.push(message);
        return outcome;
      },
      async close(id) {
        const socket = sockets.get(id);
        if (socket) socket.closed = true;
      },
    },
  };
  const session = 'ses_ada';
  await openSession(platform, { ...ada, sessionId: session });
  return {
    platform,
    live: { platform, followers: [], sleep: async () => undefined, openingMs: 0, patienceMs: 600_000 },
    sockets,
    async connect(id, since) {
      const { ticket } = await issueTicket(platform, { account, user: ada.userId, session });
      await admit(
        platform,
        { ticket, since: since === undefined ? undefined : String(since), origin: undefined, host: 'x' },
        id,
      );
      const socket: Socket = { messages: [], closed: false, take: async () => 'sent' };
      sockets.set(id, socket);
      return socket;
    },
  };
}
