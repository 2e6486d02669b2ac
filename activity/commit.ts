/**
 * A commit as bytes, and the chain over them.
 *
 * bytes = UTF-8 JSON of { at, actor, commandId, correlationId, causationId?, events: [{ id, type, data }] }, personal fields sealed.
 * hash  = SHA-256( utf8(stream) ‖ 0x00 ‖ u64be(version) ‖ prevHash ‖ SHA-256(bytes) )
 *
 * The hash is over the bytes as stored, so it needs no canonical JSON, and destroying a key leaves every chain valid.
 */
import { hash } from 'node:crypto';
import type { Cause } from '../domain/event.ts';
import type { JsonObject, StoredCommit } from '../domain/ports.ts';

export type CommitBody = { at: string; events: { id: string; type: string; data: JsonObject }[] } & Cause;

/** Where a stream stands: what the next commit is chained to. */
export type Head = { version: number; hash: string };

/** Before the first commit. */
export const start: Head = { version: 0, hash: '0'.repeat(64) };

export function sha256(bytes: Uint8Array): string {
  return hash('sha256', bytes);
}

export function commitHash(stream: string, version: number, prevHash: string, bytesHash: string): string {
  const chained = Buffer.alloc(Buffer.byteLength(stream) + 9 + (prevHash.length >> 1) + (bytesHash.length >> 1));
  let end = chained.write(stream) + 1;
  end = chained.writeBigUInt64BE(BigInt(version), end);
  end += chained.write(prevHash, end, 'hex');
  end += chained.write(bytesHash, end, 'hex');
  // What is no hex ends a hash early: it must not pass for the zeros that are there.
  return hash('sha256', chained.subarray(0, end));
}

/** Whether the commit is what its hash says; `bytes` are those of its blob when it rests in one. */
export function isIntact(commit: StoredCommit, bytes: Uint8Array): boolean {
  return commit.hash === commitHash(commit.stream, commit.version, commit.prevHash, sha256(bytes));
}
