/**
 * What an account's log says of its backups, gathered commit by commit for the checks that compare it with what rests elsewhere, and
 * whether the log agrees with itself: one open run a line, nothing rolled back, every batch in its run's numbers once.
 */
import { isDeepStrictEqual } from 'node:util';
import {
  type BackupChainEvent,
  type BackupChainState,
  backupChain as chainAggregate,
  nothing,
} from '../domain/backup-chain.ts';
import type { AnyEvent } from '../domain/catalogue.ts';
import type { Recorded } from '../domain/event.ts';
import type { Counts } from '../domain/run.ts';
import type { RunRef } from '../processors/backup/run.ts';
import type { NamedManifest } from './check-manifests.ts';
import type { VaultLog } from './check-vault.ts';
import { type Finding, failure } from './finding.ts';

/** A run that has no end on record. */
export type UnfinishedRun = {
  runRef: RunRef;
  requestedAt: string;
  started: boolean;
  /** How many batches there are to be, once planned. */
  planned: number | null;
  /** How the line ended it. */
  ended: 'RestorePointCreated' | 'RunEnded' | null;
  /** Batches on record, by number: the hash of each one's part. */
  stored: Map<number, string>;
  packs: Set<string>;
  sums: Pick<Counts, (typeof summed)[number]>;
  manifest: string | null;
  /** Its end on record, while something of it is still to come: streams come into the ledger each in its order, side by side in any. */
  end: End | null;
};

type End = Extract<AnyEvent, { type: 'RunFinished' }>['data'];

export type LogFacts = {
  manifests: NamedManifest[];
  errorLists: VaultLog['errorLists'];
  /** By run id. */
  unfinished: Map<string, UnfinishedRun>;
  /** Lines by their stream. */
  backupChains: Map<string, { jobId: string; sourceId: string }>;
  goneJobs: Set<string>;
  /** Connected sources and their kind. */
  sources: Map<string, string>;
  /** Zips that are ready, with their size and until when they are kept. */
  zips: Map<string, { until: string; size: number | null }>;
};

const summed = ['filesDone', 'filesDeleted', 'filesFailed', 'filesSkipped', 'bytesRead'] as const;

export type FactsReader = {
  take(events: Recorded[]): void;
  /** The log is over: what has not come by now is missing. `facts` and `findings` are whole from then on. */
  end(): void;
  facts: LogFacts;
  findings: Finding[];
};

/** To be given each commit of the account in the ledger's order, and told when that was all. */
export function readFacts(account: string): FactsReader {
  const facts: LogFacts = {
    manifests: [],
    errorLists: [],
    unfinished: new Map(),
    backupChains: new Map(),
    goneJobs: new Set(),
    sources: new Map(),
    zips: new Map(),
  };
  const findings: Finding[] = [];
  const backupChains = new Map<string, BackupChainState>();
  const endsOfUnknown: End[] = [];

  function followBackupChain(event: Recorded & BackupChainEvent): void {
    const before = backupChains.get(event.stream) ?? chainAggregate.initial;
    const { backupChain, runId } = event.data;
    backupChains.set(event.stream, backupChain);
    const fault = faultOfBackupChain(before, event);
    if (fault)
      findings.push(failure('event', `${event.stream} ${event.version}`, `${event.type} of ${runId}: ${fault}`));
  }

  function take(event: Recorded & AnyEvent): void {
    switch (event.type) {
      case 'RunRequested': {
        followBackupChain(event);
        const { runId, jobId, sourceId } = event.data;
        facts.backupChains.set(event.stream, { jobId, sourceId });
        facts.unfinished.set(runId, newRun({ account, runId, jobId, sourceId }, event.at));
        return;
      }
      case 'RestorePointCreated':
      case 'RunEnded': {
        followBackupChain(event);
        const run = facts.unfinished.get(event.data.runId);
        if (run) run.ended = event.type;
        if (event.type === 'RestorePointCreated') {
          const { manifest, totals, runId } = event.data;
          if (run) run.manifest = manifest.id;
          facts.manifests.push({ ref: manifest, totals, runId });
        }
        if (run) settle(run);
        return;
      }
      case 'RunStarted': {
        const run = facts.unfinished.get(event.data.runId);
        if (run) run.started = true;
        return;
      }
      case 'RunPlanned': {
        const run = facts.unfinished.get(event.data.runId);
        if (!run) return;
        run.planned = event.data.batches;
        settle(run);
        return;
      }
      case 'BatchStored': {
        const { runId, batch, partHash, packs, counts } = event.data;
        const run = facts.unfinished.get(runId);
        if (!run) return;
        run.stored.set(batch, partHash);
        for (const pack of packs) run.packs.add(pack);
        for (const field of summed) run.sums[field] += counts[field];
        settle(run);
        return;
      }
      case 'RunFinished': {
        const { runId, errorPages, counts } = event.data;
        const run = facts.unfinished.get(runId);
        if (errorPages > 0)
          facts.errorLists.push({ runId, pages: errorPages, errors: counts.filesFailed + counts.filesSkipped });
        if (!run || run.end) {
          endsOfUnknown.push(event.data);
          return;
        }
        run.end = event.data;
        settle(run);
        return;
      }
      case 'JobDeleted':
        facts.goneJobs.add(event.data.jobId);
        return;
      case 'SourceConnected':
        facts.sources.set(event.data.sourceId, event.data.kind);
        return;
      case 'SourceDisconnected':
        facts.sources.delete(event.data.sourceId);
        return;
      case 'DownloadRequested':
        facts.zips.set(event.data.downloadId, { until: event.data.until, size: null });
        return;
      case 'DownloadPrepared': {
        const zip = facts.zips.get(event.data.downloadId);
        if (zip) zip.size = event.data.size;
        return;
      }
      case 'DownloadFailed':
        facts.zips.delete(event.data.downloadId);
        return;
    }
  }

  /** A run whose end agrees with all else that there is of it is done with. */
  function settle(run: UnfinishedRun): void {
    if (run.end && run.ended && faultOfEnd(run, run.end) === undefined) facts.unfinished.delete(run.runRef.runId);
  }

  return {
    take(events) {
      for (const event of events) take(event as Recorded & AnyEvent);
    },
    end() {
      for (const [runId, run] of [...facts.unfinished]) {
        if (!run.end) continue;
        facts.unfinished.delete(runId);
        const fault = faultOfEnd(run, run.end);
        if (fault) findings.push(failure('run', runId, fault));
      }
      for (const { runId } of endsOfUnknown)
        findings.push(failure('run', runId, 'it was never asked for, or has ended before'));
    },
    facts,
    findings,
  };
}

function newRun(runRef: RunRef, requestedAt: string): UnfinishedRun {
  const sums = { filesDone: 0, filesDeleted: 0, filesFailed: 0, filesSkipped: 0, bytesRead: 0 };
  return {
    runRef,
    requestedAt,
    started: false,
    planned: null,
    ended: null,
    stored: new Map(),
    packs: new Set(),
    sums,
    manifest: null,
    end: null,
  };
}

/** The state that the event carries has to follow from the one before it. */
function faultOfBackupChain(before: BackupChainState, event: BackupChainEvent): string | undefined {
  const { runId, backupChain } = event.data;
  if (event.type === 'RunRequested') {
    if (before.openRun) return `${before.openRun.runId} was still open`;
    if (backupChain.openRun?.runId !== runId) return 'the line does not have it as its open run';
    if (backupChain.runs !== before.runs + 1) return 'the runs of the line are not counted one by one';
    return isDeepStrictEqual(backupChain.newestRestorePoint, before.newestRestorePoint)
      ? undefined
      : 'the last good backup has changed';
  }
  if (before.openRun?.runId !== runId) return 'it was not the open run';
  if (backupChain.openRun) return 'the line is not free after it';
  if (event.type === 'RunEnded')
    return isDeepStrictEqual(backupChain.newestRestorePoint, before.newestRestorePoint)
      ? undefined
      : 'the last good backup has changed';
  if (
    backupChain.newestRestorePoint?.runId !== runId ||
    backupChain.newestRestorePoint.manifest.id !== event.data.manifest.id
  )
    return 'the line does not have it as its last good backup';
  return isDeepStrictEqual(event.data.before, before.newestRestorePoint?.totals ?? nothing)
    ? undefined
    : 'what it says was before is not what was';
}

/** The end of a run has to agree with its line, and with its batches if it came to a backup. */
function faultOfEnd(run: UnfinishedRun, end: End): string | undefined {
  const good = end.outcome === 'succeeded' || end.outcome === 'partial';
  if (good !== (run.ended === 'RestorePointCreated'))
    return `it ended ${end.outcome}, and its line says otherwise (${run.ended ?? 'still open'})`;
  if (!good) return undefined;
  if (end.manifest?.id !== run.manifest) return 'it names another manifest than its line';
  if (run.planned !== run.stored.size)
    return `it was planned in ${run.planned} batches, and ${run.stored.size} are on record`;
  const field = summed.find((name) => end.counts[name] !== run.sums[name]);
  return field && `its ${field} is ${end.counts[field]}, and that of its batches ${run.sums[field]}`;
}
