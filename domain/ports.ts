/**
 * The ports: all that the system needs from its platform. Types only. `infra/embedded` and `infra/aws` implement them,
 * and both pass the contract suites in `test/contract`. Nothing outside `infra/` creates one.
 */

/** A value that survives JSON unchanged. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

/** `next` is the cursor of the next page, null on the last. It is opaque, and valid for the same query only. */
export type Page<T> = { items: T[]; next: string | null };

// ── EventStore ───────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * A stored commit: 1 to n events as bytes, with the hash of the commit before it. activity/commit.ts has the formula.
 */
export type StoredCommit = {
  /** `{accountId}/{type}/{id}` */
  stream: string;
  /** 1 for the first commit of a stream, then +1. */
  version: number;
  /** UTC ISO-8601 with milliseconds. */
  at: string;
  /** 32 bytes as lower-case hex. 64 zeros before the first commit. */
  prevHash: string;
  hash: string;
  /** The bytes, or for large commits the key of the blob that holds them. The key ends in their hash. */
  body: { bytes: Uint8Array } | { blob: string; bytesHash: string };
};

/**
 * One commit of an account in ledger order. `at` never decreases along `seq`, so queries can seek a time. It is the
 * time of the commit, or the time of the previous entry if that is later.
 */
export type LedgerEntry = { seq: number; stream: string; version: number; hash: string; at: string };

export type LedgerQuery = {
  afterSeq?: number;
  beforeSeq?: number;
  fromTime?: string;
  order: 'asc' | 'desc';
  limit: number;
};

export interface EventStore {
  /**
   * Durable when it resolves. `conflict`: the stream already has that version, and nothing was written. `previousAt` is
   * the time of the commit before it, empty for the first. It may save a write and changes nothing else.
   */
  append(commit: StoredCommit, previousAt?: string): Promise<'appended' | 'conflict'>;
  /**
   * Commits of a stream in order, from version `from` (default 1), at most `limit` (default all). Strongly consistent.
   * With `known`, the caller knows that the stream has at least that version. Then the result is complete up to
   * `known` and may lack later commits.
   */
  load(stream: string, options?: { from?: number; limit?: number; known?: number }): Promise<StoredCommit[]>;
  /** The newest commit of the stream, strongly consistent. One read, however long the stream. */
  last(stream: string): Promise<StoredCommit | undefined>;
  /** The commits that exist among the keys, in any order. */
  getMany(keys: { stream: string; version: number }[]): Promise<StoredCommit[]>;
  /** The total order of an account: `seq` counts from 1 without gaps, each commit once. It may lag behind `append`. */
  ledger(account: string, query: LedgerQuery): Promise<LedgerEntry[]>;
  /**
   * A page of all streams of all accounts, in any order. A walk over all pages returns every stream that had a commit
   * at its start, with its version at that time or a later one. It may return a stream again with an earlier version. A
   * page may hold fewer than `limit` streams, or none, with `next` set.
   */
  streams(page: { limit: number; cursor?: string }): Promise<Page<{ stream: string; version: number }>>;
}

/** A hint that a stream has a new version. It may be lost, repeated or out of order. The event store is the truth. */
export type StreamNotification = { stream: string; version: number };

// ── Rows: the read models ────────────────────────────────────────────────────────────────────────────────────────────

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
  /** Bounds of sk in UTF-8 byte order: `prefix`, or `from` (inclusive) and `to` (exclusive). */
  prefix?: string;
  from?: string;
  to?: string;
  order?: 'asc' | 'desc';
  /** 1 to 1000. A page may hold fewer rows (at most 1 MB) with `next` set. */
  limit: number;
  cursor?: string;
};

export interface Rows {
  get(key: RowKey): Promise<Row | undefined>;
  /** The rows that exist among ≤ 1000 keys of one table, in any order. */
  getMany(table: Table, keys: { pk: string; sk: string }[]): Promise<Row[]>;
  query(query: RowQuery): Promise<Page<Row>>;
  /**
   * Applies at most 99 changes to different rows, and sets the cursor of (projection, stream) to `version`. Atomic.
   * `applied`: the cursor was version − 1. `stale`: it was at least `version`. `gap`: it was lower. Then nothing
   * changed.
   */
  apply(
    projection: string,
    stream: string,
    version: number,
    changes: RowChange[],
  ): Promise<'applied' | 'stale' | 'gap'>;
  /** The version applied last, 0 before the first. Strongly consistent. */
  cursor(projection: string, stream: string): Promise<number>;
  /** The cursors of at most 1000 streams. Streams with cursor 0 are missing from the result. */
  cursors(projection: string, streams: string[]): Promise<Map<string, number>>;
  /**
   * A page of all rows of a table, in any order. A walk over all pages returns every row that existed from its start to
   * its end. A page may hold fewer than `limit` rows, or none, with `next` set.
   */
  scan(table: Table, page: { limit: number; cursor?: string }): Promise<Page<Row>>;
  /** Removes at most 1000 rows. Not atomic. Ignores missing rows. */
  remove(table: Table, keys: { pk: string; sk: string }[]): Promise<void>;
  /** Resets the cursors of at most 1000 streams to 0. Not atomic. Changes no row. */
  forget(projection: string, streams: string[]): Promise<void>;
}

// ── Records: mutable working state ───────────────────────────────────────────────────────────────────────────────────

export type RecordKey = { pk: string; sk: string };
export type StoredRecord = RecordKey & {
  data: JsonObject;
  /** Seconds since the epoch. After it the record reads as absent. It is removed some time later. */
  expiresAt?: number;
};
/**
 * The write happens only if this holds. `equals` compares top-level fields of `data`, and fails for an absent record.
 */
export type RecordCondition = 'absent' | 'present' | { equals: JsonObject };
export type RecordWrite =
  | ({ op: 'put'; data: JsonObject; expiresAt?: number; if?: RecordCondition } & RecordKey)
  /** Adds to top-level numbers of `data` and sets fields. An absent record or field counts as 0. */
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
  /** The records that exist among any number of keys, in any order. Strongly consistent. */
  getMany(keys: RecordKey[]): Promise<StoredRecord[]>;
  /** Records of one pk, sorted by the UTF-8 bytes of sk. Strongly consistent. */
  query(pk: string, options: { prefix?: string; limit: number; cursor?: string }): Promise<Page<StoredRecord>>;
  /**
   * 1 to 99 writes to different records, all or none. A record has at most 400 KB. False: a condition failed and
   * nothing was written. Exception: if the response to a single put was lost, and another writer replaced the record
   * before the retry, `write` returns false although the put succeeded.
   */
  write(writes: RecordWrite[]): Promise<boolean>;
  /** One `add` write without condition. Returns the data after it. */
  add(key: RecordKey, add: { [field: string]: number }, expiresAt?: number): Promise<JsonObject>;
  /** Any number of unconditional puts. Idempotent, not atomic. */
  putMany(records: StoredRecord[]): Promise<void>;
}

// ── Blobs ────────────────────────────────────────────────────────────────────────────────────────────────────────────

export type ByteRange = { offset: number; length: number };

export interface Blobs {
  /**
   * Durable when it resolves, never visible in part. `exists`: with `ifAbsent`, the key already had bytes, which stay.
   * A stream is uploaded in parts, so it need not fit in memory.
   */
  put(
    key: string,
    body: Uint8Array | AsyncIterable<Uint8Array>,
    options?: { ifAbsent?: boolean },
  ): Promise<'stored' | 'exists'>;
  /** The bytes, or those of the range, clipped at the end. Undefined if the blob does not exist. */
  get(key: string, range?: ByteRange): Promise<Uint8Array | undefined>;
  size(key: string): Promise<number | undefined>;
  list(prefix: string, options: { limit: number; cursor?: string }): Promise<Page<{ key: string; size: number }>>;
  /** Deletes all versions, irrevocably. Ignores missing keys. */
  delete(keys: string[]): Promise<void>;
  /**
   * Starts an upload that outlives the process, and returns its id. Every part has `partBytes`, which are at least 5
   * MiB. The last part may be shorter.
   */
  startUpload(key: string, partBytes: number): Promise<string>;
  /** Durable when it resolves. Parts count from 1 to 10,000, in any order. A repeat replaces the part. */
  putPart(key: string, upload: string, part: number, bytes: Uint8Array): Promise<void>;
  /** Makes the first `parts` parts the blob. It is never visible in part. Idempotent. */
  completeUpload(key: string, upload: string, parts: number): Promise<void>;
  /** Deletes the parts of an upload that is not complete. Ignores an upload that has ended. */
  abortUpload(key: string, upload: string): Promise<void>;
}

// ── ChunkIndex ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** The position of a chunk: the byte range of its slot in the pack, and its range in the decrypted slot. */
export type ChunkRef = {
  pack: string;
  slot: number;
  slotOffset: number;
  slotLength: number;
  offset: number;
  length: number;
};

/**
 * The positions of stored chunks, for deduplication. Manifests hold positions themselves, and the footers of packs can
 * restore the index. A chunk id has 40 hex digits.
 */
export interface ChunkIndex {
  /** The positions of those chunks that are indexed, by id. Strongly consistent. */
  find(account: string, ids: string[]): Promise<Map<string, ChunkRef>>;
  /** Adds chunks of durable packs. The new position of a known chunk replaces the old one. Idempotent. */
  add(account: string, chunks: Map<string, ChunkRef>): Promise<void>;
  /** Every chunk of the account, in any order. A part of the index that cannot be read is `unreadable`. */
  scan(account: string): AsyncIterable<{ id: string; ref: ChunkRef } | { unreadable: string }>;
}

// ── Queue and Bus ────────────────────────────────────────────────────────────────────────────────────────────────────

export type QueueName = 'job' | 'data';
/** `group`: a backlog of one group does not delay messages of others. */
export type Message = { body: JsonObject; delaySeconds?: number; group?: string };
export type Received = { body: JsonObject; receipt: string; receives: number };

export interface Queue {
  /** Any number of messages, each at most 256 KB as JSON, delayed at most 900 s. At least once, in any order. */
  send(queue: QueueName, messages: Message[]): Promise<void>;
  /**
   * At most 10 messages, hidden from other receivers for `visibilitySeconds`. Waits up to `waitSeconds` (default 0) for
   * the first.
   */
  receive(
    queue: QueueName,
    options: { max: number; visibilitySeconds: number; waitSeconds?: number },
  ): Promise<Received[]>;
  /** Deletes the message. */
  ack(queue: QueueName, receipt: string): Promise<void>;
  /** Hides the message for `seconds` from now. 0 makes it visible at once. */
  extend(queue: QueueName, receipt: string, seconds: number): Promise<void>;
  /** Whether a message waits to be received. It may be a minute behind. */
  isWaiting(queue: QueueName): Promise<boolean>;
  /** The messages received more than 5 times. The call does not remove them. */
  deadLetters(queue: QueueName): Promise<JsonObject[]>;
  /** Puts all dead letters back on the queue. Returns their number. */
  redrive(queue: QueueName): Promise<number>;
}

/** A published event: ids only, no personal data. `type` is the wire name, for example `run.requested.v1`. */
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
  /** Delivers to each matching route (processors/index.ts) at least once. */
  publish(events: BusEvent[]): Promise<void>;
}

// ── Push: open WebSockets ────────────────────────────────────────────────────────────────────────────────────────────

export interface Push {
  /**
   * Sends a text of at most 128 KB. Texts sent one after another arrive in order. `gone`: the connection has ended or
   * is not open yet, and the text was not delivered. `sent` does not mean that the client has read it. A client that
   * reads too slowly is disconnected.
   */
  send(connection: string, text: string): Promise<'sent' | 'gone'>;
  /** Ends the connection. Idempotent. */
  close(connection: string): Promise<void>;
}

// ── Identity, KeyRing, Secrets ───────────────────────────────────────────────────────────────────────────────────────

export type Registration = { email: string; password: string; name: string; userId: string; accountId: string };
export type SignedUp =
  | { outcome: 'registered' }
  | { outcome: 'confirm' }
  | { outcome: 'taken' }
  | { outcome: 'weak-password'; detail: string };
/** `refused` does not say whether the e-mail or the password was wrong. */
export type SignedIn =
  | { outcome: 'signed-in'; userId: string; accountId: string; email: string; name: string }
  | { outcome: 'unconfirmed' }
  | { outcome: 'refused' };

export interface Identity {
  /** E-mails compare without case. An e-mail keeps the ids of its first registration. */
  register(registration: Registration): Promise<SignedUp>;
  signIn(email: string, password: string): Promise<SignedIn>;
}

/**
 * Keys of 32 bytes. A subject is a user, a source or an account: personal data of each can be erased by destroying its
 * key. The keys of all subjects of an account are lost with the account key. Every key is stored in two stores, and no
 * write to one store loses it.
 */
export interface KeyRing {
  /** For a new account, before its first event. Durable in both stores when it resolves. Keeps an existing key. */
  createAccount(account: string): Promise<void>;
  /** For a new subject, before its first personal value. As `createAccount`. Nothing if the account is destroyed. */
  createSubject(account: string, subject: string): Promise<void>;
  /** Undefined from `destroyAccount` on. Throws Problem `key-missing` if no store has the key. Never creates one. */
  accountKey(account: string): Promise<Uint8Array | undefined>;
  /** As `accountKey`. Undefined too while the account key is. */
  subjectKey(account: string, subject: string): Promise<Uint8Array | undefined>;
  /**
   * The key is unusable now, and destroyed after a grace. Returns that time (ms since the epoch), null if no key is
   * left. Idempotent.
   */
  destroySubject(account: string, subject: string): Promise<number | null>;
  /** As `destroySubject`, for the account key and so for the keys of all subjects. */
  destroyAccount(account: string): Promise<number | null>;
  /** Takes a destruction back before its time. Returns whether the key is usable. */
  restoreSubject(account: string, subject: string): Promise<boolean>;
  restoreAccount(account: string): Promise<boolean>;
  /**
   * Repairs a page of the keys, and destroys those whose time is over for good. The returned cursor begins the next
   * page, null ends the round.
   */
  sweep(cursor?: string): Promise<string | null>;
  /** Compares the two copies of every key of an account. `subject` is null for the account key. Changes nothing. */
  compare(account: string): Promise<{ subject: string | null; fault: string }[]>;
  /** ECDSA P-256 with SHA-256, DER-encoded. */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
  /** The public key of `sign`, as SPKI in PEM. */
  publicKey(): Promise<string>;
}

export type SecretName = 'jwt-secret' | 'jwt-refresh-secret' | 'cors-origin' | 'ses-from-email' | 'openai-api-key';

export interface Secrets {
  /** Undefined if it was never set. Cached for minutes. */
  get(name: SecretName): Promise<string | undefined>;
}

/** All ports together, with the clock and randomness that the domain must not have itself. */
export type Platform = {
  events: EventStore;
  rows: Rows;
  records: Records;
  blobs: Blobs;
  chunks: ChunkIndex;
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

/** Structured log lines, without personal data, secrets or paths. */
export interface Log {
  info(message: string, fields?: JsonObject): void;
  warn(message: string, fields?: JsonObject): void;
  error(message: string, fields?: JsonObject, error?: unknown): void;
  /** Numbers for charts and alarms. A repeated step may count twice. */
  measure(numbers: Measures): void;
}

/** Values by metric, in seconds, counts, bytes or US dollars. */
export type Measures = { [name in Measure]?: number };

export type Measure =
  /** Of a run that ended. `RunSeconds` is from its request to its end. */
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
  /** Runs without progress for too long. */
  | 'RunsStalled'
  /** Number of parked streams of all projections, and the age of the oldest. */
  | 'Parked'
  | 'ProjectionLagSeconds'
  /** Commits that the relay could not enter in the ledger or publish on the bus, and the age of the oldest. */
  | 'RelaySetAside'
  | 'LedgerLagSeconds'
  /** Streams that the nightly reconcile found behind, because their stream notifications were lost. */
  | 'MissedNotifications'
  /** Stream records of an update or delete in the event store, which is append-only. */
  | 'ActivityChanged';
