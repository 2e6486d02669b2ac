/**
 * Gathers facts about an account's backups from its log, for the checks that compare the log with other stored data.
 * It also checks the log itself. A backup chain has at most one open run, and its head never goes back.
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
import type { RunRef } from '../processors/backup/run.ts';
import type { NamedIndex } from './check-id-index.ts';
import type { NamedManifest } from './check-manifests.ts';
import type { VaultLog } from './check-vault.ts';
import { type Finding, failure } from './finding.ts';

/** A run that is open, according to the log. */
export type UnfinishedRun = { runRef: RunRef; requestedAt: string };

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
        facts.unfinished.set(runId, { runRef: { account, runId, jobId, sourceId }, requestedAt: event.at });
        return;
      }
      case 'RestorePointCreated':
      case 'RunEnded': {
        followBackupChain(event);
        facts.unfinished.delete(event.data.runId);
        if (event.type === 'RunEnded') return;
        const { manifest, totals, runId, jobId, sourceId, errorPages, counts } = event.data;
        facts.manifests.push({ ref: manifest, totals, runId, jobId, sourceId });
        if (errorPages > 0)
          facts.errorLists.push({ runId, pages: errorPages, errors: counts.filesFailed + counts.filesSkipped });
        return;
      }
      case 'RunPaused':
      case 'RunResumed':
        followBackupChain(event);
        return;
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

  return {
    take(events) {
      for (const event of events) take(event as Recorded & AnyEvent);
    },
    end() {
      for (const { newestRestorePoint } of backupChains.values()) {
        const { idIndex, manifest } = newestRestorePoint ?? {};
        if (idIndex && manifest) facts.idIndexes.push({ index: idIndex, manifest });
      }
    },
    facts,
    findings,
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
  if (event.type === 'RunPaused' || event.type === 'RunResumed')
    return isDeepStrictEqual({ ...backupChain, openRun: null }, { ...before, openRun: null })
      ? undefined
      : 'it changed more than the open run';
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
