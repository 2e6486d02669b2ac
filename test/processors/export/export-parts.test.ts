/** Parts of an upload: the state after each checkpoint is enough to go on. */
import { randomBytes } from 'node:crypto';
import { expect, it } from 'vitest';
import { type Export, PartWriter, startExport, type Written } from '../../../processors/export/export-parts.ts';
import type { Atom } from '../../../processors/export/zip.ts';
import { memoryBlobs } from '../../support/memory-ports.ts';
import { noise } from '../../vault/vault-fixture.ts';

const partBytes = 8 * 1024 * 1024;

/** Atoms that end before, at and after the ends of parts. Each has a record. */
const sizes = [partBytes - 5, 5, 3 * partBytes + 7, 20, partBytes - 27, 100];

function* atomsFrom(length: number): Generator<Atom> {
  let end = 0;
  for (const [n, size] of sizes.entries()) {
    end += size;
    if (end <= length) continue;
    yield { bytes: noise(size, n), next: { length: end, entries: n + 1 }, record: Buffer.from(`record ${n};`) };
  }
}

it('has the same content and records after a death at any checkpoint, and puts no part twice', async () => {
  const blobs = memoryBlobs();
  const put: number[] = [];
  const putPart: typeof blobs.putPart = (key, upload, part, bytes) => {
    put.push(part);
    return blobs.putPart(key, upload, part, bytes);
  };
  const platform = { blobs: { ...blobs, putPart }, random: randomBytes, now: () => 0 };
  const to: Export = { platform, blob: 'exports/a/b', key: randomBytes(32), isEncrypted: false };
  let saved: Written = await startExport(to, 1000);
  let writer: PartWriter | undefined;
  let deaths = 0;
  for (let fence = 1; !writer; fence++) {
    let isDead = false;
    const checkpoint = async (state: object) => {
      saved = (state as { written: Written }).written;
      isDead = true;
      throw new Error('killed');
    };
    const next = new PartWriter(to, { fence, checkpoint }, saved);
    await next.open();
    try {
      for (const atom of atomsFrom(saved.position.length)) await next.add(atom);
      writer = next;
    } catch (error) {
      if (!isDead) throw error;
      deaths++;
    }
  }
  const last = new PartWriter(to, { fence: 99, checkpoint: async () => {} }, await writer.suspend());
  await last.open();
  await last.complete();
  expect(deaths).toBe(5);
  expect(put).toEqual([1, 2, 3, 4, 5, 6]);
  const expected = Buffer.concat(sizes.map((size, n) => noise(size, n)));
  expect(Buffer.from((await blobs.get(to.blob)) ?? '').equals(expected)).toBe(true);
  const pieces = await Promise.all(Array.from({ length: last.pieces }, (_, n) => last.readPiece(n)));
  expect(Buffer.concat(pieces).toString()).toBe(sizes.map((_, n) => `record ${n};`).join(''));
});
