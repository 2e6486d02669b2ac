import { describe, expect, it } from 'vitest';
import { base32, fromBase32 } from '../../crypto/base32.ts';
import { idPattern, makeId } from '../../crypto/ids.ts';

describe('base32', () => {
  it('encodes the known vectors in lower case, without padding', () => {
    expect(base32(new Uint8Array())).toBe('');
    expect(base32(Buffer.from('foobar'))).toBe('csqpyrk1e8');
    expect(base32(Uint8Array.of(0xff))).toBe('zw');
  });

  it('decodes its own output, whatever the length', () => {
    for (let length = 0; length <= 40; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 97 + length) & 0xff);
      expect(fromBase32(base32(bytes))).toEqual(bytes);
    }
  });

  it('rejects every other spelling of the same bytes', () => {
    for (const text of ['CSQPYRK1E8', 'csqpyrkle8', 'csqpyrkie8', 'zx', 'z', 'csqpyrk1e8=', 'uu', ' zw', 'é']) {
      expect(fromBase32(text), text).toBeUndefined();
    }
  });
});

describe('makeId', () => {
  it('makes an id of 16 bytes that matches the pattern of its kind only', () => {
    const id = makeId('job', new Uint8Array(32).fill(7));
    expect(id).toBe('job_0w3ge1r70w3ge1r70w3ge1r70w');
    expect(id).toMatch(idPattern('job'));
    expect(id).not.toMatch(idPattern('run'));
  });
});
