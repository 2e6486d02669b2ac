/**
 * A commit as bytes, and the hash chain over the commits of a stream.
 *
 * bytes = UTF-8 JSON of { at, actor, commandId, correlationId, causationId?, events: [{ id, type, data }] },
 *         with personal fields encrypted
 * hash  = SHA-256( utf8(stream) ‖ 0x00 ‖ u64be(version) ‖ prevHash ‖ SHA-256(bytes) )
 *
 * The hash covers the bytes as stored. So it needs no canonical JSON, and a chain stays valid after a key is destroyed.
 */
import { hash } from 'node:crypto';
import type { Cause } from '../domain/event.ts';
import type { JsonObject, StoredCommit } from '../domain/ports.ts';

export type CommitBody = { at: string; events: { id: string; type: string; data: JsonObject }[] } & Cause;

/** The newest commit of a stream. The next commit is chained to it. */
export type Head = { version: number; hash: string };

/** The head of an empty stream. */
export const start: Head = { version: 0, hash: '0'.repeat(64) };

export function sha256(bytes: Uint8Array): string {
  return hash('sha256', bytes);
}

/** All hashes are lower-case hex. */
export function commitHash(stream: string, version: number, prevHash: string, bytesHash: string): string {
  const chained = Buffer.alloc(Buffer.byteLength(stream) + 9 + (prevHash.length >> 1) + (bytesHash.length >> 1));
  let end = chained.write(stream) + 1;
  end = chained.writeBigUInt64BE(BigInt(version), end);
  end += chained.write(prevHash, end, 'hex');
  end += chained.write(bytesHash, end, 'hex');
  // Invalid hex ends the write early. Cut the buffer there, or its zeros would count as part of the hash.
  return hash('sha256', chained.subarray(0, end));
}

/** Whether the commit has the hash it claims. `bytes` is its body, from the commit or from its blob. */
export function isIntact(commit: StoredCommit, bytes: Uint8Array): boolean {
  return commit.hash === commitHash(commit.stream, commit.version, commit.prevHash, sha256(bytes));
}
