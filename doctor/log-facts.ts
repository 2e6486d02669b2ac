/**
 * Gathers facts about an account's backups from its log, for the checks that compare the log with other stored data.
 * It also checks the log itself. A backup chain has at most one open run, and its head never goes back. The counts of a
 * run are the sums of its batches.
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
import type { NamedIndex } from './check-id-index.ts';
import type { NamedManifest } from './check-manifests.ts';
import type { VaultLog } from './check-vault.ts';
import { type Finding, failure } from './finding.ts';

/** A run that is not finished, according to the log. */
export type UnfinishedRun = {
  runRef: RunRef;
  requestedAt: string;
  started: boolean;
  /** Number of batches. Null until the run is planned. */
  planned: number | null;
  /** The event by which the backup chain ended the run. */
  ended: 'RestorePointCreated' | 'RunEnded' | null;
  /** Hash of each stored batch's part, by batch number. */
  stored: Map<number, string>;
  packs: Set<string>;
  sums: Pick<Counts, (typeof summed)[number]>;
  manifest: string | null;
  /**
   * The run's RunFinished event, while other events of it are still to come. The ledger keeps the order within a
   * stream, but not between streams.
   */
  end: End | null;
};

type End = Extract<AnyEvent, { type: 'RunFinished' }>['data'];

export type LogFacts = {
  manifests: NamedManifest[];
  /** The newest of each backup chain. Complete after `end`. */
  idIndexes: NamedIndex[];
  errorLists: VaultLog['errorLists'];
  /** By run id. */
  unfinished: Map<string, UnfinishedRun>;
  /** By stream. */
  backupChains: Map<string, { jobId: string; sourceId: string }>;
  deletedJobs: Set<string>;
  /** Kinds of the connected sources, by id. */
  sources: Map<string, string>;
  /** Zips by download id. `size` is null until the zip is ready. `until` is when it expires. */
  zips: Map<string, { until: string; size: number | null }>;
};

const summed = ['filesDone', 'filesDeleted', 'filesFailed', 'filesSkipped', 'bytesRead'] as const;

export type FactsReader = {
  take(events: Recorded[]): void;
  /** To be called after the last commit. From then on `facts` and `findings` are complete. */
  end(): void;
  facts: LogFacts;
  findings: Finding[];
};

/** `take` must get the events of every commit of the account, in ledger order. */
export function readFacts(account: string): FactsReader {
  const facts: LogFacts = {
    manifests: [],
    idIndexes: [],
    errorLists: [],
    unfinished: new Map(),
    backupChains: new Map(),
    deletedJobs: new Set(),
    sources: new Map(),
    zips: new Map(),
  };
  const findings: Finding[] = [];
  const backupChains = new Map<string, BackupChainState>();
  const unexpectedEnds: End[] = [];

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
          const { manifest, totals, runId, jobId, sourceId } = event.data;
          if (run) run.manifest = manifest.id;
          facts.manifests.push({ ref: manifest, totals, runId, jobId, sourceId });
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
          unexpectedEnds.push(event.data);
          return;
        }
        run.end = event.data;
        settle(run);
        return;
      }
      case 'JobDeleted':
        facts.deletedJobs.add(event.data.jobId);
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

  /** Forgets a run that has finished, once its end agrees with all its other events. */
  function settle(run: UnfinishedRun): void {
    if (run.end && run.ended && faultOfEnd(run, run.end) === undefined) facts.unfinished.delete(run.runRef.runId);
  }

  return {
    take(events) {
      for (const event of events) take(event as Recorded & AnyEvent);
    },
    end() {
      for (const { newestRestorePoint } of backupChains.values()) {
        const { idIndex, manifest } = newestRestorePoint ?? {};
        if (idIndex && manifest) facts.idIndexes.push({ index: idIndex, manifest });
      }
      for (const [runId, run] of [...facts.unfinished]) {
        if (!run.end) continue;
        facts.unfinished.delete(runId);
        const fault = faultOfEnd(run, run.end);
        if (fault) findings.push(failure('run', runId, fault));
      }
      for (const { runId } of unexpectedEnds)
        findings.push(failure('run', runId, 'it finished, but was never requested or had finished before'));
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

/** The state in the event must follow from the state before it. */
function faultOfBackupChain(before: BackupChainState, event: BackupChainEvent): string | undefined {
  const { runId, backupChain } = event.data;
  if (event.type === 'RunRequested') {
    if (before.openRun) return `${before.openRun.runId} was still open`;
    if (backupChain.openRun?.runId !== runId) return 'it is not the open run of its backup chain';
    if (backupChain.runs !== before.runs + 1) return 'its backup chain does not count it';
    return isDeepStrictEqual(backupChain.newestRestorePoint, before.newestRestorePoint)
      ? undefined
      : 'it changed the last good backup';
  }
  if (before.openRun?.runId !== runId) return 'it was not the open run of its backup chain';
  if (backupChain.openRun) return 'its backup chain still has an open run after it';
  if (event.type === 'RunEnded')
    return isDeepStrictEqual(backupChain.newestRestorePoint, before.newestRestorePoint)
      ? undefined
      : 'it changed the last good backup';
  if (
    backupChain.newestRestorePoint?.runId !== runId ||
    backupChain.newestRestorePoint.manifest.id !== event.data.manifest.id
  )
    return 'it is not the last good backup of its backup chain';
  return isDeepStrictEqual(event.data.before, before.newestRestorePoint?.totals ?? nothing)
    ? undefined
    : 'the totals it gives for the backup before it are wrong';
}

/** The end of a run must agree with its backup chain, and with its batches if it made a backup. */
function faultOfEnd(run: UnfinishedRun, end: End): string | undefined {
  const isBackup = end.outcome === 'succeeded' || end.outcome === 'partial';
  if (isBackup !== (run.ended === 'RestorePointCreated'))
    return `it finished as ${end.outcome}, but its backup chain says ${run.ended ?? 'that it is open'}`;
  if (!isBackup) return undefined;
  if (end.manifest?.id !== run.manifest) return 'it names another manifest than its backup chain';
  if (run.planned !== run.stored.size)
    return `it was planned with ${run.planned} batches, but ${run.stored.size} are stored`;
  const field = summed.find((name) => end.counts[name] !== run.sums[name]);
  return field && `its ${field} is ${end.counts[field]}, but the sum of its batches is ${run.sums[field]}`;
}
