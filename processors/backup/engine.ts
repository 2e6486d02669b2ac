/**
 * The interface of the engine, which does the heavy work of a run: it lists, compares, reads, chunks, compresses,
 * encrypts and packs. It runs in worker threads, or in the calling thread. It gets and returns bytes, never single
 * files.
 */
import type { SourceSession } from '../../connectors/connector.ts';
import type { BackupChainState, ManifestRef, Totals } from '../../domain/backup-chain.ts';
import type { Blobs, ChunkIndex } from '../../domain/ports.ts';
import type { BatchBytes, BatchCounts, RunError } from '../../domain/run.ts';
import type { VaultKeys } from '../../vault/keys.ts';
import type { PackRecord } from '../../vault/pack-registry.ts';
import type { PackBody, Packer } from '../../vault/packer.ts';
import type { WriterTotals } from '../../vault/writer.ts';
import type { Limits } from '../limits.ts';
import type { Comparison } from './compare.ts';
import type { RunRef } from './run.ts';
import type { SourceAccess } from './source-access.ts';
import type { Saved } from './work.ts';

/** Requests are plain data. Calls come back to the caller's thread. `stop` ends the work with its reason. */
export type Engine = {
  plan(request: PlanRequest, calls: PlanCalls, stop?: AbortSignal): Promise<void>;
  store(request: StoreRequest, calls: StoreCalls, stop?: AbortSignal): Promise<StoreResult | Paused>;
  commit(request: CommitRequest, calls: CommitCalls, stop?: AbortSignal): Promise<CommitResult | Paused>;
  /** Fails all open work. */
  close(): Promise<void>;
};

/** The ports and functions that a thread gives the engine. */
export type EngineTools = {
  blobs: Blobs;
  chunks: ChunkIndex;
  register(account: string, pack: string, record: PackRecord): Promise<void>;
  present(account: string, packs: string[]): Promise<Set<string>>;
  openBody(): PackBody;
  random(bytes: number): Uint8Array;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Called often during work. It may let other work of the thread run. */
  beat(): void | Promise<void>;
  /** How long a session stays open after its last use (ms). 0: each piece of work opens its own. */
  keepSessionMs: number;
};

/** The tools of the engine, with sessions, packers and checks for one piece of work. */
export type EngineWork = EngineTools & {
  /** Opens the source. The session is released when the work ends. Work that reads waits for other readings. */
  withSession<T>(
    runId: string,
    source: SourceAccess,
    work: (session: SourceSession) => Promise<T>,
    isReading?: boolean,
  ): Promise<T>;
  /**
   * The packer of the account, shared with other batches. Call `leave` when everything is added: the open pack closes
   * when no other batch could add to it. Call `release` at the end, in any case.
   */
  takePacker(account: string, keys: VaultKeys): Packer & { leave(): void; release(): void };
  /** Fails the work if `proceed` is not called for an hour. `withSession` includes it, except while it waits. */
  moving<T>(work: Promise<T>): Promise<T>;
  /** As `beat`, and throws the reason of `stop`. */
  proceed(): void | Promise<void>;
};

export type PlanRequest = {
  runRef: RunRef;
  keys: VaultKeys;
  source: SourceAccess;
  head: BackupChainState['newestRestorePoint'];
  /** The manifest to compare with. Null compares with nothing. */
  base: ManifestRef | null;
  /** The id index of `base`. Null if there is none. */
  idIndex: ManifestRef | null;
  /** The run whose failed entries are looked up instead of a listing, if that is possible. */
  retryOf?: string | undefined;
  /** Lists everything, not only changes. */
  isFull: boolean;
  /** Lost packs. Files in them are read again. */
  lost: string[];
  /** Where to go on. Null at the start. */
  position: Saved | null;
  /** Batches so far. */
  batches: number;
  limits: Limits;
};

/** New batches by number, and the position after them. */
export type PlanStep = {
  batches: (Saved & { batch: number })[];
  position: Saved;
  count: Comparison;
  since: string | null;
  sourceIdentity: string | null;
  /** A hash of the settings of the source. */
  settings: string;
  /** Whether pieces of the listing are stored as blobs. */
  hasPieces: boolean;
  done: boolean;
};

export type PlanCalls = {
  /** Saves the step. False: stop, because the run has ended, another worker moved the step, or time is up. */
  advance(step: PlanStep): Promise<boolean>;
};

export type StoreRequest = {
  runRef: RunRef;
  keys: VaultKeys;
  source: SourceAccess;
  batch: number;
  work: Saved;
  /** The last checkpoint of this batch. */
  resume: Saved | null;
  /** Reads files one by one, and notes each before, because earlier attempts made no progress. */
  isCautious: boolean;
  limits: StoreLimits;
};
export type StoreLimits = Pick<Limits, 'checkpointBytes' | 'checkpointMs' | 'resumableBytes'>;
export type StoreResult = Pick<WriterTotals, 'packs' | 'requests'> & {
  part: Uint8Array;
  counts: BatchCounts;
  /** The size of the files as listed. */
  bytesHandled: number;
};
/** The last checkpoint has everything. Another attempt goes on from it. */
export type Paused = { paused: true };

/** `isProgress`: more is stored than at the checkpoint before. */
export type StoreCheckpoint = Saved & BatchBytes & { isProgress: boolean };

export type StoreCalls = {
  /** See `Deployment.reached`. */
  reached(step: string): void | Promise<void>;
  /** Replaces the checkpoint of this batch. Its packs and pieces are durable. A rejection ends the attempt. */
  checkpoint(saved: StoreCheckpoint): Promise<void>;
  /** Whether to pause. Asked every 5 s during a reading. */
  isOver(): boolean | Promise<boolean>;
};

export type CommitRequest = {
  runRef: RunRef;
  keys: VaultKeys;
  base: ManifestRef | null;
  /** Null if the source lists no deltas. `last`: the id index of `base`. */
  ids: { last: ManifestRef | null } | null;
  /** The numbers of the first and the last batch. */
  first: number;
  last: number;
  /** A hash of the settings of the source. */
  settings: string;
  at: string;
  /** Where an earlier attempt stopped. */
  resume: Saved | null;
};

export type CommitCalls = {
  /** The bytes of a part. */
  part(batch: number): Promise<Uint8Array>;
  checkpoint(saved: Saved): Promise<void>;
  /** Whether to pause at the next checkpoint. */
  isOver(): boolean | Promise<boolean>;
};

export type CommitResult = {
  manifest: ManifestRef;
  totals: Totals;
  /** With it the next run may list changes only. */
  idIndex: ManifestRef | null;
  errors: RunError[];
  errorPages: number;
  bytesStored: number;
};
