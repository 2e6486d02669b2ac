/**
 * What the system needs of a machine. Types only: `infra/embedded` and `infra/aws` implement them, and every method here is held
 * to its promise by a suite in `test/contract` that both sides run. Nothing outside `infra/` makes one.
 */

/** A value that survives JSON unchanged. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** The cursor is opaque to callers and only valid for the query that returned it. */
export type Page<T> = { items: T[]; next: string | null };

// ── EventStore ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One commit as it rests: 1..n events as bytes, chained to the commit before it (see activity/commit.ts for the formula). */
export type StoredCommit = {
  /** `{accountId}/{type}/{id}` */
  stream: string;
  /** 1 for a stream's first commit, then +1 */
  version: number;
  /** UTC ISO-8601 with milliseconds */
  at: string;
  /** 32 bytes, lower-case hex; 64 zeros before the first commit */
  prevHash: string;
  hash: string;
  /** The bytes themselves, or the blob that holds them when they are large (its key names their hash). */
  body: { bytes: Uint8Array } | { blob: string; bytesHash: string };
};

/** `at` never goes back along the sequence, so a time can be sought; it is the later of the commit's time and its predecessor's. */
export type LedgerEntry = { seq: number; stream: string; version: number; hash: string; at: string };

export type LedgerQuery = {
  afterSeq?: number;
  beforeSeq?: number;
  fromTime?: string;
  order: 'asc' | 'desc';
  limit: number;
};

export interface EventStore {
  /** Durable when it resolves. `conflict`: that stream already has that version; nothing was written. */
  append(commit: StoredCommit): Promise<'appended' | 'conflict'>;
  /**
   * Commits of a stream in order from `from` (default 1), strongly consistent, at most `limit` (default all). `known`: a version that the
   * stream is known to have reached, where later ones may be missing: that is cheaper.
   */
  load(stream: string, options?: { from?: number; limit?: number; known?: number }): Promise<StoredCommit[]>;
  /** The stream's newest commit, strongly consistent: one read whatever the stream's length. */
  last(stream: string): Promise<StoredCommit | undefined>;
  /** Each asked-for commit that exists, in any order. */
  getMany(keys: { stream: string; version: number }[]): Promise<StoredCommit[]>;
  /** An account's total order: gapless `seq` from 1, each commit exactly once. On AWS it trails the append by the relay's delay. */
  ledger(account: string, query: LedgerQuery): Promise<LedgerEntry[]>;
  /**
   * A page of all there is, for walks over everything: streams of every account in any order. A whole walk has every stream that had a
   * commit when it began, with the version it stood at then or a later one; a stream may come more than once, the other times with an
   * earlier one. A page may hold fewer than `limit`, or none, with `next` set.
   */
  streams(page: { limit: number; cursor?: string }): Promise<Page<{ stream: string; version: number }>>;
}

/** A hint that a stream has grown. May be lost, repeated or out of order: the table is the truth. */
export type StreamNotification = { stream: string; version: number };

// ── Rows: the read models ───────────────────────────────────────────────────────────────────────────────────────────────

export type Table = 'users' | 'accounts' | 'sources' | 'jobs' | 'runs' | 'files' | 'analytics-aggregates';
export type RowKey = { table: Table; pk: string; sk: string };
export type Row = { pk: string; sk: string; data: JsonObject };

/** `update` creates an absent row. `set` replaces those fields, `add` adds to numbers (an absent field counts as 0). */
export type RowChange =
  | ({ op: 'put'; data: JsonObject } & RowKey)
  | ({ op: 'update'; set?: JsonObject; add?: { [field: string]: number } } & RowKey)
  | ({ op: 'delete' } & RowKey);

export type RowQuery = {
  table: Table;
  pk: string;
  /** Bounds on sk in UTF-8 byte order: `prefix`, or `from` (inclusive) and `to` (exclusive). */
  prefix?: string;
  from?: string;
  to?: string;
  order?: 'asc' | 'desc';
  /** 1–1000. A page may hold fewer (1 MB a page) with `next` set. */
  limit: number;
  cursor?: string;
};

export interface Rows {
  get(key: RowKey): Promise<Row | undefined>;
  /** The rows that exist among ≤ 1000 keys of one table, in any order. */
  getMany(table: Table, keys: { pk: string; sk: string }[]): Promise<Row[]>;
  query(query: RowQuery): Promise<Page<Row>>;
  /**
   * Applies ≤ 99 changes, each to another row, together with the cursor of (projection, stream), atomically and once:
   * `applied` when the cursor was version − 1, `stale` when it was already ≥ version, `gap` when it was lower.
   */
  apply(
    projection: string,
    stream: string,
    version: number,
    changes: RowChange[],
  ): Promise<'applied' | 'stale' | 'gap'>;
  /** Version last applied, strongly consistent; 0 before the first. */
  cursor(projection: string, stream: string): Promise<number>;
  /** The same of ≤ 1000 streams at once; those it is 0 for are left out. */
  cursors(projection: string, streams: string[]): Promise<Map<string, number>>;
  /**
   * A page of all rows of a table, of every pk, in any order. A whole walk has every row that was there from its beginning to its end. A
   * page may hold fewer than `limit`, or none, with `next` set.
   */
  scan(table: Table, page: { limit: number; cursor?: string }): Promise<Page<Row>>;
  /** Removes ≤ 1000 rows, not atomically together. Missing ones are fine. */
  remove(table: Table, keys: { pk: string; sk: string }[]): Promise<void>;
  /** Puts the cursors of ≤ 1000 streams back to before their first version, not atomically together, and touches no row. */
  forget(projection: string, streams: string[]): Promise<void>;
}

// ── Records: mutable working state ──────────────────────────────────────────────────────────────────────────────────────

export type RecordKey = { pk: string; sk: string };
export type StoredRecord = RecordKey & {
  data: JsonObject;
  /** Seconds since the epoch; a record past it reads as absent, and is removed some time later. */
  expiresAt?: number;
};
/** What must hold of the record for the whole write to happen. `equals` compares top-level fields of data (absent record fails). */
export type RecordCondition = 'absent' | 'present' | { equals: JsonObject };
export type RecordWrite =
  | ({ op: 'put'; data: JsonObject; expiresAt?: number; if?: RecordCondition } & RecordKey)
  /** Adds to top-level numbers of data (absent record or field counts as 0) and sets fields. */
  | ({
      op: 'add';
      add?: { [field: string]: number };
      set?: JsonObject;
      expiresAt?: number;
      if?: RecordCondition;
    } & RecordKey)
  | ({ op: 'delete'; if?: RecordCondition } & RecordKey)
  | ({ op: 'check'; if: RecordCondition } & RecordKey);

export interface Records {
  /** Strongly consistent. */
  get(key: RecordKey): Promise<StoredRecord | undefined>;
  /** Strongly consistent, any number of keys, the existing ones in any order. */
  getMany(keys: RecordKey[]): Promise<StoredRecord[]>;
  /** Records of one pk in sk order (UTF-8 bytes), strongly consistent. */
  query(pk: string, options: { prefix?: string; limit: number; cursor?: string }): Promise<Page<StoredRecord>>;
  /**
   * 1–99 writes to different records, all or none; false when a condition failed. Items ≤ 400 KB. Where an answer was lost on the way and
   * somebody has put the record anew before it was asked for again, false may also be said of a single put that was done.
   */
  write(writes: RecordWrite[]): Promise<boolean>;
  /** Like one `add` write without `if`, and returns the data after it. */
  add(key: RecordKey, add: { [field: string]: number }, expiresAt?: number): Promise<JsonObject>;
  /** Unconditional puts, any number, not atomic together, idempotent: cheaper than `write` for many. */
  putMany(records: StoredRecord[]): Promise<void>;
}

// ── Blobs ───────────────────────────────────────────────────────────────────────────────────────────────────────────────

export type ByteRange = { offset: number; length: number };

export interface Blobs {
  /** Durable when it resolves; never visible in part. With `ifAbsent`, `exists` leaves the old bytes untouched. Streams go up in parts. */
  put(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: { ifAbsent?: boolean },
  ): Promise<'stored' | 'exists'>;
  /** The bytes (of the range, clipped at the end); undefined when there is no such blob. */
  get(key: string, range?: ByteRange): Promise<Uint8Array | undefined>;
  size(key: string): Promise<number | undefined>;
  list(prefix: string, options: { limit: number; cursor?: string }): Promise<Page<{ key: string; size: number }>>;
  /** For good: every version goes. Missing keys are fine. */
  delete(keys: string[]): Promise<void>;
}

// ── Queue and Bus ───────────────────────────────────────────────────────────────────────────────────────────────────────

export type QueueName = 'job' | 'data';
export type Message = { body: JsonObject; delaySeconds?: number };
export type Received = { body: JsonObject; receipt: string; receives: number };

export interface Queue {
  /** At least once, any order, any number, each ≤ 256 KB as JSON, delay ≤ 900 s. */
  send(queue: QueueName, messages: Message[]): Promise<void>;
  /** ≤ 10 messages, hidden from others for `visibilitySeconds`; waits up to `waitSeconds` (default 0) for the first. */
  receive(
    queue: QueueName,
    options: { max: number; visibilitySeconds: number; waitSeconds?: number },
  ): Promise<Received[]>;
  /** Done with: gone for good. */
  ack(queue: QueueName, receipt: string): Promise<void>;
  /** Hides it for so long from now; 0 gives it back at once. */
  extend(queue: QueueName, receipt: string, seconds: number): Promise<void>;
  /** Messages received more often than the queue's limit (5) end here; the call shows them without taking them. */
  deadLetters(queue: QueueName): Promise<JsonObject[]>;
  /** Puts all dead letters back on the queue; how many. */
  redrive(queue: QueueName): Promise<number>;
}

/** What leaves the house: ids only, never personal data. `type` is the wire name (`run.requested.v1`). */
export type BusEvent = {
  id: string;
  type: string;
  account: string;
  stream: string;
  version: number;
  index: number;
  at: string;
};

export interface Bus {
  /** Reaches each matching route (processors/index.ts) at least once. */
  publish(events: BusEvent[]): Promise<void>;
}

// ── Push: open sockets ──────────────────────────────────────────────────────────────────────────────────────────────────

export interface Push {
  /**
   * Hands a text of ≤ 128 KB to a connection; texts sent one after another arrive in that order. `gone`: the connection has ended or is
   * not open yet, and the text reached nobody. A reader too slow to keep up is disconnected, so `sent` is no word that it has read.
   */
  send(connection: string, text: string): Promise<'sent' | 'gone'>;
  /** Ends the connection; fine when it is gone. */
  close(connection: string): Promise<void>;
}

// ── Identity, KeyRing, Secrets ──────────────────────────────────────────────────────────────────────────────────────────

export type Registration = { email: string; password: string; name: string; userId: string; accountId: string };
export type SignedUp =
  | { outcome: 'registered' }
  | { outcome: 'confirm' }
  | { outcome: 'taken' }
  | { outcome: 'weak-password'; detail: string };
/** `refused` tells neither which of the two was wrong nor whether the e-mail is known. */
export type SignedIn =
  | { outcome: 'signed-in'; userId: string; accountId: string; email: string; name: string }
  | { outcome: 'unconfirmed' }
  | { outcome: 'refused' };

export interface Identity {
  /** E-mails compare without case. The ids of the first registration stay with the e-mail. */
  register(registration: Registration): Promise<SignedUp>;
  signIn(email: string, password: string): Promise<SignedIn>;
}

/** Keys of 32 bytes. A subject is whoever can ask to be forgotten (a user, a source); an account holds the keys of its subjects. */
export interface KeyRing {
  /** Made at first use by whoever comes first; undefined once destroyed. */
  accountKey(account: string): Promise<Uint8Array | undefined>;
  subjectKey(account: string, subject: string): Promise<Uint8Array | undefined>;
  /** For good; a destroyed key never comes back, not even as a new one. */
  destroySubject(account: string, subject: string): Promise<void>;
  destroyAccount(account: string): Promise<void>;
  /** Signature over the bytes (ECDSA P-256 with SHA-256, DER), and the public key that checks it (SPKI, PEM). */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
  publicKey(): Promise<string>;
}

export type SecretName = 'jwt-secret' | 'jwt-refresh-secret' | 'cors-origin' | 'ses-from-email' | 'openai-api-key';

export interface Secrets {
  /** undefined when it was never set. Cached for minutes. */
  get(name: SecretName): Promise<string | undefined>;
}

/** One machine: everything above, and what the domain may not have of its own. */
export type Platform = {
  events: EventStore;
  rows: Rows;
  records: Records;
  blobs: Blobs;
  queue: Queue;
  bus: Bus;
  push: Push;
  identity: Identity;
  keys: KeyRing;
  secrets: Secrets;
  /** Milliseconds since the epoch. */
  now(): number;
  /** Cryptographically strong. */
  random(bytes: number): Uint8Array;
  log: Log;
};

/** Structured lines; never personal data, secrets or paths. */
export interface Log {
  info(message: string, fields?: JsonObject): void;
  warn(message: string, fields?: JsonObject): void;
  error(message: string, fields?: JsonObject, error?: unknown): void;
  /** Numbers that charts and alarms are made of. What may come twice (a step that is repeated) may be counted twice. */
  measure(numbers: Measures): void;
}

/** Seconds, counts, bytes and US dollars, by what the metrics are called. */
export type Measures = { [name in Measure]?: number };

export type Measure =
  /** Of a run that ended: from its request to its end, and what it did. */
  | 'RunSeconds'
  | 'RunFiles'
  | 'RunFilesFailed'
  | 'RunBytesRead'
  | 'RunBytesStored'
  | 'RunCost'
  | 'RunsSucceeded'
  | 'RunsPartial'
  | 'RunsFailed'
  | 'RunsCancelled'
  /** Runs that were looked at because nothing had come of them for long. */
  | 'RunsStandingStill'
  /** Streams at which a projection stands still, and since when the first of them does. */
  | 'Parked'
  | 'ProjectionLagSeconds'
  /** Commits that the relay could not enter in the ledger or put on the bus, and since when the first has waited. */
  | 'RelayAside'
  | 'LedgerLagSeconds'
  /** Streams that lagged when the reconcile looked: their wake-ups were lost. */
  | 'Unwoken'
  /** A stream record told of a change in the activity, where there are only additions. */
  | 'ActivityChanged';
