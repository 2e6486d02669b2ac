/**
 * `Idempotency-Key`: a repeated POST gets the answer of the first one. Powertools runs the protocol. This file stores
 * its records in `Records` and encrypts the answers.
 */
import { gunzipSync, gzipSync } from 'node:zlib';
import {
  IdempotencyConfig,
  IdempotencyInconsistentStateError,
  IdempotencyItemAlreadyExistsError,
  IdempotencyRecordStatus,
  makeIdempotent,
} from '@aws-lambda-powertools/idempotency';
import { BasePersistenceLayer, IdempotencyRecord } from '@aws-lambda-powertools/idempotency/persistence';
import * as z from 'zod';
import { decryptFramed, encryptFramed } from '../crypto/gcm.ts';
import { deriveKey } from '../crypto/hkdf.ts';
import { Problem } from '../domain/errors.ts';
import type { JsonObject, Platform, RecordKey, StoredRecord } from '../domain/ports.ts';
import { anonymous, type Intent } from './command-context.ts';
import { derivedKey, keyedHash } from './secret-keys.ts';

/** An answer in the form that is sent and stored. */
export type StoredAnswer = { status: number; headers: { [name: string]: string }; body: string | null };

const keepSeconds = 25 * 60 * 60;
/**
 * Longer than any request may take. If a process dies, a repeat may start after this time. Its command then finds the
 * events that the first one appended.
 */
const inProgressMilliseconds = 60_000;
/** Its base64 form has to fit into a record of 400 KB. */
const partBytes = 256 * 1024;

/**
 * Runs `work` once for the intent's key and returns its answer to every repeat within a day. Throws Problem
 * `idempotency-mismatch` if the key was used with other input, and `idempotency-in-progress` while the first request
 * runs. Errors of `work` are not stored, so the next repeat runs it again.
 */
export async function answerOnce(
  platform: Platform,
  intent: Intent & { key: string },
  work: () => Promise<StoredAnswer>,
): Promise<StoredAnswer> {
  const { pk, input } = await hashesOf(platform, intent);
  const recordKey = { pk, sk: 'answer' };
  const persistenceStore = new RecordsPersistence(platform, intent.caller.account, recordKey);
  const config = new IdempotencyConfig({
    eventKeyJmesPath: 'pk',
    payloadValidationJmesPath: 'input',
    hashFunction: 'sha256',
  });
  const once = makeIdempotent((_intent: { pk: string; input: string }, _context: typeof timeLeft) => work(), {
    persistenceStore,
    config,
  });
  try {
    return await once({ pk, input }, timeLeft);
  } catch (error) {
    throw asProblem(error);
  }
}

/**
 * For routes whose answers are never stored: throws Problem `idempotency-mismatch` if the key was used with other input
 * within a day.
 */
export async function requireSameInput(platform: Platform, intent: Intent & { key: string }): Promise<void> {
  const { pk, input } = await hashesOf(platform, intent);
  const recordKey = { pk, sk: 'input' };
  const expiresAt = Math.floor(platform.now() / 1000) + keepSeconds;
  if (await platform.records.write([{ op: 'put', ...recordKey, data: { input }, expiresAt, if: 'absent' }])) return;
  const known = await platform.records.get(recordKey);
  if (known && known.data.input !== input) throw mismatch();
}

/**
 * Returns the partition key of the intent's records and the hash of its input. HMACs, because bodies hold passwords.
 */
async function hashesOf(
  platform: Platform,
  { caller, route, key, input }: Intent & { key: string },
): Promise<{ pk: string; input: string }> {
  const [keyHash, inputHash] = await Promise.all([
    keyedHash(platform, 'idempotency-key', { caller, route, key }),
    keyedHash(platform, 'idempotency-input', input),
  ]);
  const pk = `idempotency#${caller.account}#${keyHash.toString('base64url')}`;
  return { pk, input: inputHash.toString('base64url') };
}

function mismatch(): Problem {
  const detail = 'Repeat the first input, or send a new key.';
  return new Problem('idempotency-mismatch', detail);
}

/** The part of a Lambda context that Powertools reads. Without it, Powertools logs a warning. */
const timeLeft = { getRemainingTimeInMillis: () => inProgressMilliseconds };

function asProblem(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (error.cause instanceof Problem) return error.cause;
  if (error.name === 'IdempotencyValidationError') {
    return mismatch();
  }
  if (['IdempotencyAlreadyInProgressError', 'IdempotencyInconsistentStateError'].includes(error.name)) {
    return new Problem('idempotency-in-progress', 'Repeat it in a second to get its answer.', {
      extra: { retryAfter: 1 },
    });
  }
  return error;
}

const stored = z.object({
  status: z.enum([IdempotencyRecordStatus.INPROGRESS, IdempotencyRecordStatus.COMPLETED]),
  input: z.string(),
  /** Identifies the request that owns the record. A request that lost ownership does not write any more. */
  turn: z.string(),
  inProgressUntil: z.number(),
  /** The encrypted answer, if it fits into this record. */
  answer: z.string().optional(),
  /** How many further records hold the answer. */
  parts: z.number(),
});
type Stored = z.output<typeof stored>;

/** Stores the record of one request. Each request needs its own instance, because the instance holds its `turn`. */
class RecordsPersistence extends BasePersistenceLayer {
  readonly #platform: Platform;
  readonly #account: string;
  readonly #key: RecordKey;
  readonly #turn: string;

  constructor(platform: Platform, account: string, key: RecordKey) {
    super();
    this.#platform = platform;
    this.#account = account;
    this.#key = key;
    this.#turn = Buffer.from(platform.random(16)).toString('base64url');
  }

  /** Takes ownership of the record, also from a request that has run for too long. */
  protected override async _putRecord(record: IdempotencyRecord): Promise<void> {
    const { records } = this.#platform;
    const now = this.#platform.now();
    const data = {
      status: 'INPROGRESS',
      input: record.payloadHash ?? '',
      turn: this.#turn,
      inProgressUntil: now + inProgressMilliseconds,
      parts: 0,
    };
    const put = { op: 'put', ...this.#key, data, expiresAt: this.#expiry() } as const;
    if (await records.write([{ ...put, if: 'absent' }])) return;
    const existing = await this.#load();
    if (existing?.status === 'INPROGRESS' && existing.inProgressUntil < now && existing.input === data.input) {
      if (await records.write([{ ...put, if: { equals: { turn: existing.turn, status: 'INPROGRESS' } } }])) return;
    }
    throw new IdempotencyItemAlreadyExistsError();
  }

  protected override async _getRecord(idempotencyKey: string): Promise<IdempotencyRecord> {
    const existing = await this.#load();
    // The first request failed meanwhile and deleted the record. This error makes Powertools start again.
    if (!existing) throw new IdempotencyInconsistentStateError();
    const { status, input } = existing;
    if (status === 'INPROGRESS') return new IdempotencyRecord({ idempotencyKey, status, payloadHash: input });
    return new IdempotencyRecord({
      idempotencyKey,
      status,
      payloadHash: input,
      responseData: await this.#decrypt(existing),
    });
  }

  /** Stores the answer if this request still owns the record. A large answer goes into further records first. */
  protected override async _updateRecord(record: IdempotencyRecord): Promise<void> {
    const { records } = this.#platform;
    const encrypted = await this.#encrypt(JSON.stringify(record.responseData));
    const parts: StoredRecord[] = [];
    const small = encrypted.length <= partBytes;
    for (let offset = 0; offset < encrypted.length && !small; offset += partBytes) {
      const data = { bytes: encrypted.subarray(offset, offset + partBytes).toString('base64') };
      parts.push({ ...this.#partKey(this.#turn, parts.length), data, expiresAt: this.#expiry() + 60 });
    }
    if (!small) await records.putMany(parts);
    const data: JsonObject = {
      status: 'COMPLETED',
      input: record.payloadHash ?? '',
      turn: this.#turn,
      inProgressUntil: 0,
      parts: parts.length,
      ...(small && { answer: encrypted.toString('base64') }),
    };
    const stillOwned = { equals: { turn: this.#turn } };
    const put = { op: 'put', ...this.#key, data, expiresAt: this.#expiry(), if: stillOwned } as const;
    if (await records.write([put])) return;
    const message = 'a repeat took over the request, so its answer was not stored';
    this.#platform.log.warn(message, { account: this.#account });
  }

  /** Releases the record after a failure, so that the next repeat can run. */
  protected override async _deleteRecord(): Promise<void> {
    await this.#platform.records.write([{ op: 'delete', ...this.#key, if: { equals: { turn: this.#turn } } }]);
  }

  async #load(): Promise<Stored | undefined> {
    const found = await this.#platform.records.get(this.#key);
    return found && stored.parse(found.data);
  }

  #expiry(): number {
    return Math.floor(this.#platform.now() / 1000) + keepSeconds;
  }

  #partKey(turn: string, index: number): RecordKey {
    return { pk: this.#key.pk, sk: `${turn}#${index}` };
  }

  async #encrypt(text: string): Promise<Buffer> {
    return encryptFramed(await this.#encryptionKey(), this.#key.pk, gzipSync(text), this.#platform.random);
  }

  async #decrypt({ turn, parts, answer }: Stored): Promise<StoredAnswer> {
    const encrypted = answer === undefined ? await this.#partsOf(turn, parts) : Buffer.from(answer, 'base64');
    const compressed = decryptFramed(await this.#encryptionKey(), this.#key.pk, encrypted);
    if (!compressed) throw new Error('a stored answer is damaged or incomplete');
    return JSON.parse(gunzipSync(compressed).toString('utf8')) as StoredAnswer;
  }

  async #partsOf(turn: string, parts: number): Promise<Buffer> {
    const keys = Array.from({ length: parts }, (_, index) => this.#partKey(turn, index));
    const found = new Map((await this.#platform.records.getMany(keys)).map(({ sk, data }) => [sk, String(data.bytes)]));
    return Buffer.concat(keys.map(({ sk }) => Buffer.from(found.get(sk) ?? '', 'base64')));
  }

  /**
   * Returns a key derived from the account's key, so that erasing the account erases its answers. Public routes use a
   * key of the API.
   */
  async #encryptionKey(): Promise<Uint8Array> {
    if (this.#account === anonymous) return derivedKey(this.#platform, 'idempotency-answer');
    const key = await this.#platform.keys.accountKey(this.#account);
    if (!key) throw new Problem('gone', 'The account was erased. Register a new one with POST /auth/register.');
    return deriveKey(key, 'listbackup/idempotency-answer');
  }
}
