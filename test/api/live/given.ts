/** A log with runs in it, and sockets that write down what they get. */
import { onTestFinished } from 'vitest';
import { openEntries } from '../../../activity/feed.ts';
import { transact } from '../../../activity/store.ts';
import { admit } from '../../../api/live/handshake.ts';
import { type LiveMessage, messagesOf } from '../../../api/live/messages.ts';
import type { Live } from '../../../api/live/push.ts';
import type { Runs } from '../../../api/live/run-views.ts';
import { issueTicket } from '../../../api/live/tickets.ts';
import { openSession } from '../../../api/sessions.ts';
import { type BatchCounts, batch, batchId, storeBatch } from '../../../domain/batch.ts';
import { streamName } from '../../../domain/event.ts';
import { line, lineId, requestRun } from '../../../domain/line.ts';
import type { Machine } from '../../../domain/ports.ts';
import { finishRun, planRun, type RunOutcome, run, startRun } from '../../../domain/run.ts';
import { ada, type TestMachine, testMachine } from '../../support/api.ts';

export const account = ada.accountId;
const cause = { actor: { type: 'system' as const, id: 'test' }, correlationId: 'test' };
const counts: BatchCounts = { filesDone: 10, filesDeleted: 0, filesFailed: 0, filesSkipped: 0, bytesRead: 100, bytesStored: 50 };
const cost = { requests: 2, usd: 0.5 };

/** The steps of a run, each a commit, to be taken in any order. */
export function runSteps(machine: Machine, runId: string, batches: number) {
  const about = { runId, jobId: `job_${runId}`, sourceId: 'src_1' };
  const by = (what: string) => ({ ...cause, commandId: `${runId} ${what}` });
  const stream = streamName(account, 'run', runId);
  const total = batches * 10;
  return {
    request: () =>
      transact(machine, line, streamName(account, 'line', lineId(about.jobId, about.sourceId)), requestRun(about, 'then'), by('request')),
    start: () => transact(machine, run, stream, startRun(about), by('start')),
    plan: () =>
      transact(
        machine,
        run,
        stream,
        planRun({ ...about, batches, filesTotal: total + 5, filesUnchanged: 5, bytesTotal: batches * 100, since: null }),
        by('plan'),
      ),
    store: (n: number) =>
      transact(
        machine,
        batch,
        streamName(account, 'batch', batchId(runId, n)),
        storeBatch({ ...about, batch: n, partHash: 'h', packs: [], counts, cost }),
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
        ...about,
        outcome,
        counts: final,
        cost: good ? cost : { requests: 0, usd: 0 },
        manifest: null,
        totals: null,
        reason: null,
        errors: [],
        errorPages: 0,
      };
      return transact(machine, run, stream, finishRun(data), by('finish'));
    },
  };
}

/** A run from beginning to end. */
export async function wholeRun(machine: Machine, runId: string, batches: number): Promise<void> {
  const steps = runSteps(machine, runId, batches);
  await steps.request();
  await steps.start();
  await steps.plan();
  for (let n = 0; n < batches; n++) await steps.store(n);
  await steps.finish();
}

/** All that the ledger after `afterSeq` says, by one who has seen nothing before. */
export async function told(machine: Machine, afterSeq = 0): Promise<LiveMessage[]> {
  const runs: Runs = {};
  const messages: LiveMessage[] = [];
  const entries = await machine.events.ledger(account, { afterSeq, order: 'asc', limit: 1000 });
  for (const opened of await openEntries(machine, account, entries)) messages.push(...(await messagesOf(machine, account, opened, runs)));
  return messages;
}

/** What became of each socket, by its id: `gone` from the moment its `take` says so. */
export type Socket = { messages: LiveMessage[]; closed: boolean; take(message: LiveMessage): Promise<'sent' | 'gone'> };

export type World = {
  machine: TestMachine;
  live: Live;
  sockets: Map<string, Socket>;
  connect(id: string, since?: number): Promise<Socket>;
};

/** A machine of its own, whose sockets take all they are given unless their `take` is set. */
export async function liveWorld(): Promise<World> {
  const inner = await testMachine();
  const sockets = new Map<string, Socket>();
  onTestFinished(() => sockets.clear());
  const machine: TestMachine = {
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
  await openSession(machine, { ...ada, sessionId: session });
  return {
    machine,
    live: { machine, followers: [], sleep: async () => undefined, openingMs: 0 },
    sockets,
    async connect(id, since) {
      const { ticket } = await issueTicket(machine, { account, user: ada.userId, session });
      await admit(machine, { ticket, since: since === undefined ? undefined : String(since), origin: undefined, host: 'x' }, id);
      const socket: Socket = { messages: [], closed: false, take: async () => 'sent' };
      sockets.set(id, socket);
      return socket;
    },
  };
}
