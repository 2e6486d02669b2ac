/**
 * `Idempotency-Key`: a repeat of a POST gets the answer of the first. Powertools runs the protocol; this file keeps its records in
 * `Records` and the answers in them sealed.
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

/** An answer ready to be sent, and to be stored. */
export type StoredAnswer = { status: number; headers: { [name: string]: string }; body: string | null };

const keepSeconds = 25 * 60 * 60;
/** Longer than any request may take. If one dies, a repeat is let in after this, and its command finds what was already done. */
const inProgressMilliseconds = 60_000;
/** Base64 of it has to fit an item of 400 KB. */
const partBytes = 256 * 1024;

/**
 * Runs `work` once for the intent's key and gives its answer to every repeat within a day. Throws Problem `idempotency-mismatch` when
 * the key came with other input, `idempotency-in-progress` while the first is at work. What `work` throws is not stored.
 */
export async function answerOnce(
  platform: Platform,
  intent: Intent & { key: string },
  work: () => Promise<StoredAnswer>,
): Promise<StoredAnswer> {
  const { caller, route, key } = intent;
  const [place, input] = await Promise.all([
    keyedHash(platform, 'idempotency-place', { caller, route, key }),
    keyedHash(platform, 'idempotency-input', intent.input),
  ]);
  const recordKey = { pk: `idempotency#${caller.account}#${place.toString('base64url')}`, sk: 'answer' };
  const persistenceStore = new RecordsPersistence(platform, caller.account, recordKey);
  const config = new IdempotencyConfig({
    eventKeyJmesPath: 'place',
    payloadValidationJmesPath: 'input',
    hashFunction: 'sha256',
  });
  const once = makeIdempotent((_intent: { place: string; input: string }, _context: typeof timeLeft) => work(), {
    persistenceStore,
    config,
  });
  try {
    return await once({ place: recordKey.pk, input: input.toString('base64url') }, timeLeft);
  } catch (error) {
    throw asProblem(error);
  }
}

/**
 * For answers that are never stored: that the key only ever came with this input, within a day. Throws Problem `idempotency-mismatch`.
 */
export async function requireSameInput(platform: Platform, intent: Intent & { key: string }): Promise<void> {
  const { caller, route, key } = intent;
  const [place, hash] = await Promise.all([
    keyedHash(platform, 'idempotency-place', { caller, route, key }),
    keyedHash(platform, 'idempotency-input', intent.input),
  ]);
  const recordKey = { pk: `idempotency#${caller.account}#${place.toString('base64url')}`, sk: 'input' };
  const input = hash.toString('base64url');
  const expiresAt = Math.floor(platform.now() / 1000) + keepSeconds;
  if (await platform.records.write([{ op: 'put', ...recordKey, data: { input }, expiresAt, if: 'absent' }])) return;
  const known = await platform.records.get(recordKey);
  if (known && known.data.input !== input) throw mismatch();
}

function mismatch(): Problem {
  return new Problem('idempotency-mismatch', 'Repeat the request with the same input, or send a new Idempotency-Key.');
}

/** What Powertools asks of a Lambda context. Only its own adapter for DynamoDB uses the answer, but without one it warns. */
const timeLeft = { getRemainingTimeInMillis: () => inProgressMilliseconds };

function asProblem(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  if (error.cause instanceof Problem) return error.cause;
  if (error.name === 'IdempotencyValidationError') {
    return mismatch();
  }
  if (['IdempotencyAlreadyInProgressError', 'IdempotencyInconsistentStateError'].includes(error.name)) {
    return new Problem(
      'idempotency-in-progress',
      'Wait for the first request, then repeat this one to get its answer.',
      {
        extra: { retryAfter: 1 },
      },
    );
  }
  return error;
}

const stored = z.object({
  status: z.enum([IdempotencyRecordStatus.INPROGRESS, IdempotencyRecordStatus.COMPLETED]),
  input: z.string(),
  /** Whose turn it is: a request that lost its turn to another no longer writes. */
  turn: z.string(),
  inProgressUntil: z.number(),
  /** The sealed answer, or how many records hold it where it is too large for this one. */
  answer: z.string().optional(),
  parts: z.number(),
});
type Stored = z.output<typeof stored>;

/** One request's view of its record: made anew for each, so that it can hold whose turn it is. */
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

  /** Takes the turn, also over from a request that has been at it for too long. */
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
    // gone between two looks, since the first request failed: this makes Powertools begin again
    if (!existing) throw new IdempotencyInconsistentStateError();
    const { status, input } = existing;
    if (status === 'INPROGRESS') return new IdempotencyRecord({ idempotencyKey, status, payloadHash: input });
    return new IdempotencyRecord({
      idempotencyKey,
      status,
      payloadHash: input,
      responseData: await this.#open(existing),
    });
  }

  /** Puts the answer into the record, or beside it and then says so in it, if it is still this request's turn. */
  protected override async _updateRecord(record: IdempotencyRecord): Promise<void> {
    const { records } = this.#platform;
    const encrypted = await this.#encrypt(JSON.stringify(record.responseData));
    const parts: StoredRecord[] = [];
    const small = encrypted.length <= partBytes;
    for (let at = 0; at < encrypted.length && !small; at += partBytes) {
      const data = { bytes: encrypted.subarray(at, at + partBytes).toString('base64') };
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
    const mine = { equals: { turn: this.#turn } };
    const done = await records.write([{ op: 'put', ...this.#key, data, expiresAt: this.#expiry(), if: mine }]);
    if (!done) this.#platform.log.warn('an answer came after its turn and was not stored', { account: this.#account });
  }

  /** The work failed: the next repeat may try. */
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

  async #open({ turn, parts, answer }: Stored): Promise<StoredAnswer> {
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

  /** The account's own key, so that erasing the account erases its answers; before anyone is known, one of the API's. */
  async #encryptionKey(): Promise<Uint8Array> {
    if (this.#account === anonymous) return derivedKey(this.#platform, 'idempotency-answer');
    const key = await this.#platform.keys.accountKey(this.#account);
    if (!key) throw new Problem('gone', 'The account was erased.');
    return deriveKey(key, 'listbackup/idempotency-answer');
  }
}
