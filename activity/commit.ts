/**
 * A commit as bytes, and the chain over them.
 *
 * bytes = UTF-8 JSON of { at, actor, commandId, correlationId, causationId?, events: [{ id, type, data }] }, personal fields sealed.
 * hash  = SHA-256( utf8(stream) ‖ 0x00 ‖ u64be(version) ‖ prevHash ‖ SHA-256(bytes) )
 *
 * The hash is over the bytes as stored, so it needs no canonical JSON, and destroying a key leaves every chain valid.
 */
import { createHash } from 'node:crypto';
import type { Cause } from '../domain/event.ts';
import type { JsonObject, StoredCommit } from '../domain/ports.ts';

export type CommitBody = { at: string; events: { id: string; type: string; data: JsonObject }[] } & Cause;

/** Where a stream stands: what the next commit is chained to. */
export type Head = { version: number; hash: string };

/** Before the first commit. */
export const start: Head = { version: 0, hash: '0'.repeat(64) };

export function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

export function commitHash(stream: string, version: number, prevHash: string, bytesHash: string): string {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(BigInt(version));
  return createHash('sha256')
    .update(`${stream}\0`)
    .update(number)
    .update(Buffer.from(prevHash, 'hex'))
    .update(Buffer.from(bytesHash, 'hex'))
    .digest('hex');
}

/** Whether the commit is what its hash says; `bytes` are those of its blob when it rests in one. */
export function isIntact(commit: StoredCommit, bytes: Uint8Array): boolean {
  return commit.hash === commitHash(commit.stream, commit.version, commit.prevHash, sha256(bytes));
}
