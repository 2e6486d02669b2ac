/** Test data for live sockets: runs in the ledger, and sockets that record their messages. */
import { onTestFinished } from 'vitest';
import { openEntries } from '../../../activity/feed.ts';
import { transact } from '../../../activity/store.ts';
import { admit } from '../../../api/live/handshake.ts';
import { type LiveMessage, messagesOf } from '../../../api/live/messages.ts';
import type { Live } from '../../../api/live/push.ts';
import type { Runs } from '../../../api/live/run-views.ts';
import { issueTicket } from '../../../api/live/tickets.ts';
import { openSession } from '../../../api/sessions.ts';
import { backupChain, backupChainId, requestRun } from '../../../domain/backup-chain.ts';
import { type BatchCounts, batch, batchId, storeBatch } from '../../../domain/batch.ts';
import { streamName } from '../../../domain/event.ts';
import type { Platform } from '../../../domain/ports.ts';
import { finishRun, planRun, type RunOutcome, run, startRun } from '../../../domain/run.ts';
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

/** The steps of a run. Each appends a commit, and tests call them in any order. */
export function runSteps(platform: Platform, runId: string, batches: number) {
  const runRef = { runId, jobId: `job_${runId}`, sourceId: 'src_1' };
  const by = (step: string) => ({ ...cause, commandId: `${runId} ${step}` });
  const stream = streamName(account, 'run', runId);
  const total = batches * 10;
  return {
    request: () =>
      transact(
        platform,
        backupChain,
        streamName(account, 'backup-chain', backupChainId(runRef.jobId, runRef.sourceId)),
        requestRun(runRef, 'then'),
        by('request'),
      ),
    start: () => transact(platform, run, stream, startRun(runRef), by('start')),
    plan: () =>
      transact(
        platform,
        run,
        stream,
        planRun({
          ...runRef,
          batches,
          filesTotal: total + 5,
          filesUnchanged: 5,
          bytesTotal: batches * 100,
          since: null,
        }),
        by('plan'),
      ),
    store: (n: number) =>
      transact(
        platform,
        batch,
        streamName(account, 'batch', batchId(runId, n)),
        storeBatch({ ...runRef, batch: n, partHash: 'h', packs: [], counts, cost }),
        by(`store ${n}`),
      ),
    finish: (outcome: RunOutcome = 'succeeded') => {
      const good = outcome === 'succeeded';
      const final = {
        filesTotal: good ? total + 5 : 0,
        filesDone: good ? total : 0,
        filesUnchanged: good ? 5 : 0,
        filesDeleted: 0,
        filesFailed: 0,
        filesSkipped: 0,
        bytesRead: good ? batches * 100 : 0,
        bytesStored: good ? batches * 50 + 7 : 0,
      };
      const data = {
        ...runRef,
        outcome,
        counts: final,
        cost: good ? cost : { requests: 0, usd: 0 },
        manifest: null,
        totals: null,
        reason: null,
        errors: [],
        errorPages: 0,
      };
      return transact(platform, run, stream, finishRun(data), by('finish'));
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

/** Returns all messages of the ledger after `afterSeq`, made without knowledge of earlier entries. */
export async function messagesAfter(platform: Platform, afterSeq = 0): Promise<LiveMessage[]> {
  const runs: Runs = {};
  const messages: LiveMessage[] = [];
  const entries = await platform.events.ledger(account, { afterSeq, order: 'asc', limit: 1000 });
  for (const opened of await openEntries(platform, account, entries))
    messages.push(...(await messagesOf(platform, account, opened, runs)));
  return messages;
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
    live: { platform, followers: [], sleep: async () => undefined, openingMs: 0 },
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
