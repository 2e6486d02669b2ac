import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeId } from '../../crypto/ids.ts';
import { keyFromBytes } from '../../domain/entry.ts';
import { fileId, parseFileId } from '../../vault/file-id.ts';
import { keys, noise, otherKeys } from './vault-fixture.ts';

const file = {
  jobId: makeId('job', noise(16, 'job')),
  sourceId: makeId('source', noise(16, 'source')),
  key: 'photos/2026/me.jpg',
};

describe('file id', () => {
  it('decrypts to job, source and key, whatever they are', () => {
    const id = (aggregate: 'job' | 'source') =>
      fc.oneof(
        fc.nat().map((n) => makeId(aggregate, noise(16, n))),
        fc.string({ unit: 'grapheme' }),
        fc.constantFrom('job_1', `job_${'z'.repeat(26)}`),
      );
    const any = fc.record({
      jobId: id('job'),
      sourceId: id('source'),
      key: fc.uint8Array({ maxLength: 40 }).map(keyFromBytes),
    });
    fc.assert(fc.property(any, (one) => void expect(parseFileId(keys, fileId(keys, one))).toEqual(one)));
  });

  it('is the same each time, compact, safe in a URL, and shows no name', () => {
    const id = fileId(keys, file);
    expect(fileId(keys, file)).toBe(id);
    expect(id).toMatch(/^file_[A-Za-z0-9_-]+$/);
    expect(id.length).toBeLessThan(100);
    expect(Buffer.from(id.slice(5), 'base64url').includes('photos')).toBe(false);
    expect(fileId(keys, { ...file, key: 'photos/2026/me.jpeg' }).slice(0, 20)).not.toBe(id.slice(0, 20));
  });

  it('is refused when forged, altered or of another account', () => {
    const id = fileId(keys, file);
    expect(parseFileId(otherKeys, id)).toBeUndefined();
    const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    for (let at = 0; at < id.length; at++) {
      for (const letter of [...letters, '=', ' ', 'é']) {
        const altered = id.slice(0, at) + letter + id.slice(at + 1);
        if (altered !== id) expect(parseFileId(keys, altered), altered).toBeUndefined();
      }
    }
    for (const junk of ['', 'file_', 'file', id.slice(0, -1), `${id}A`, `${id}=`, id.slice(5), file.key])
      expect(parseFileId(keys, junk), junk).toBeUndefined();
    fc.assert(fc.property(fc.base64String(), (junk) => void expect(parseFileId(keys, `file_${junk}`)).toBeUndefined()));
  });
});
