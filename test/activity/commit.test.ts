/** Computes the hash formula in a second, independent way. */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { commitHash, isIntact, sha256 } from '../../activity/commit.ts';

function hashByFormula(stream: string, version: bigint, prevHash: string, bytesHash: string): string {
  const number = Buffer.alloc(8);
  number.writeBigUInt64BE(version);
  const parts = [
    Buffer.from(stream, 'utf8'),
    Buffer.of(0),
    number,
    Buffer.from(prevHash, 'hex'),
    Buffer.from(bytesHash, 'hex'),
  ];
  return createHash('sha256').update(Buffer.concat(parts)).digest('hex');
}

const [before, bytes] = [sha256(Buffer.from('before')), Buffer.from('bytes')];

describe("a commit's hash", () => {
  it('covers stream, version, previous hash and bytes', () => {
    for (const stream of ['acc_1/job/job_1', 'acc_1/job/ÄÖ 🙂']) {
      for (const version of [1, 255, 2 ** 40]) {
        expect(commitHash(stream, version, before, sha256(bytes))).toBe(
          hashByFormula(stream, BigInt(version), before, sha256(bytes)),
        );
      }
    }
  });

  it('does not match a previous hash that is not 64 hex digits', () => {
    const zeros = '0'.repeat(64);
    const commit = { stream: 'acc_1/job/job_1', version: 1, at: '', prevHash: zeros, body: { bytes } };
    const hash = commitHash(commit.stream, 1, zeros, sha256(bytes));
    expect(isIntact({ ...commit, hash }, bytes)).toBe(true);
    for (const prevHash of ['', zeros.slice(1), `${zeros}00`, 'z'.repeat(64), `${zeros.slice(2)}zz`]) {
      expect(isIntact({ ...commit, hash, prevHash }, bytes), prevHash).toBe(false);
    }
  });
});
