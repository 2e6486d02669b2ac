import { describe, expect, it } from 'vitest';
import { ByteReader, ByteWriter } from '../../vault/bytes.ts';

describe('ByteWriter', () => {
  it('frees the memory that it has outgrown', () => {
    const writer = new ByteWriter().raw(new Uint8Array(64 * 1024).fill(1));
    const outgrown = writer.done().buffer;
    const whole = writer.raw(new Uint8Array(64 * 1024).fill(2)).done();
    expect(outgrown.byteLength).toBe(0);
    expect([whole.length, whole[0], whole.at(-1)]).toEqual([128 * 1024, 1, 2]);
  });

  it('frees no memory that it shares with other buffers', () => {
    const shared = Buffer.allocUnsafe(8).fill(7);
    const writer = new ByteWriter();
    for (let number = 0; number < 10_000; number++) writer.varint(number);
    expect([...shared]).toEqual(Array.from({ length: 8 }, () => 7));
    const reader = new ByteReader(writer.done());
    for (let number = 0; number < 10_000; number++) expect(reader.varint()).toBe(number);
  });
});
