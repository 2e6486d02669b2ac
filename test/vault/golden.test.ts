/**
 * Today's code must read the bytes of earlier versions, and write the same bytes. golden.json was made from the values
 * of `made` below. A new format gets new vectors beside the old ones. Lengths of compressed slots depend on the zstd of
 * the pinned Node. If a newer zstd compresses differently, the old bytes must still decrypt.
 */
import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { makeId } from '../../crypto/ids.ts';
import { gearTable } from '../../vault/chunker.ts';
import { decryptBytes, encryptBytes } from '../../vault/encrypted-bytes.ts';
import { decodeEntries, encodeEntries, type ManifestEntry } from '../../vault/entry.ts';
import { fileId, parseFileId } from '../../vault/file-id.ts';
import { writeManifest } from '../../vault/manifest.ts';
import { metadataKey } from '../../vault/metadata.ts';
import { namesIn } from '../../vault/names.ts';
import { packBlobKey, readPackIndex } from '../../vault/pack.ts';
import { decodeList, encodeList, partAad } from '../../vault/part.ts';
import { readFile } from '../../vault/read-file.ts';
import { entries, openManifest, openNames } from '../../vault/reader.ts';
import { chunksOf } from '../../vault/writer.ts';
import golden from './golden.json' with { type: 'json' };
import {
  account,
  changesOf,
  chunk,
  collect,
  found,
  gather,
  keys,
  memoryVault,
  noise,
  openTestWriter,
  sliced,
} from './vault-fixture.ts';

/** Ends at a border, so that its chunks fill a slot. */
const rawContent = noise(1_183_466, 'golden');
const text = new TextEncoder().encode('a line that compresses well\n'.repeat(40));
const locator = {
  jobId: makeId('job', noise(16, 'job')),
  sourceId: makeId('source', noise(16, 'source')),
  key: 'é/\udcff',
};

async function made() {
  const vault = memoryVault('golden');
  const writer = openTestWriter(vault);
  const raw = await writer.store(sliced(rawContent));
  const small = [await writer.store(sliced(text)), await writer.store(sliced(noise(50, 'small')))];
  const { packs } = await writer.finish();
  const listed: ManifestEntry[] = [raw, ...small].map((file, n) => ({
    ...found(`file-${n}\udc80`),
    size: file.size,
    sha256: file.sha256,
    chunks: chunksOf(file),
    version: 1,
  }));
  const changes = changesOf(listed.map((put) => ({ put })));
  const { manifest } = await writeManifest({ ...vault, runId: 'run_1', at: '2026-02-01T00:00:00.000Z', changes });
  return { vault, pack: packs[0] ?? '', raw, small, listed, manifest };
}

const noChanges = { deleted: [], failed: [], skipped: [] };
const base64 = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString('base64');
const bytesOf = (text64: string) => new Uint8Array(Buffer.from(text64, 'base64'));

describe('the formats', () => {
  it('give the recorded borders, ids and bytes', async () => {
    const { vault, raw, listed, pack, manifest } = await made();
    const pieces = await collect(chunk(sliced(noise(12 * 1024 * 1024, 'golden')), gearTable(keys.gear)));
    expect(pieces.map((piece) => piece.length)).toEqual(golden.borders);
    expect(pack).toBe(golden.pack);
    expect(chunksOf(raw)).toEqual(golden.rawChunks);
    const slot = vault.blobs.stored.get(packBlobKey(account, pack))?.subarray(0, chunksOf(raw)[0]?.slotLength);
    expect(
      createHash('sha256')
        .update(slot ?? '')
        .digest('hex'),
    ).toBe(golden.rawSlotHash);
    expect(base64(encodeEntries(listed))).toBe(golden.entries);
    expect(base64(encryptBytes(keys, 'golden', noise(40, 'encrypted')))).toBe(golden.encrypted);
    expect(base64(encodeList(keys, partAad(account, 'run_1', 3), { ...noChanges, entries: listed }))).toBe(golden.part);
    expect(base64(vault.blobs.stored.get(metadataKey(account, golden.manifest.id)))).toBe(golden.manifestBlob);
    expect(manifest).toEqual(golden.manifest);
    expect(fileId(keys, locator)).toBe(golden.fileId);
  });

  it('read the recorded bytes', async () => {
    const { vault, listed } = await made();
    // The raw slot is 1.2 MB of noise, so the vectors keep only the bytes after it.
    const [first] = golden.rawChunks;
    const whole = vault.blobs.stored.get(packBlobKey(account, golden.pack));
    const old = Buffer.concat([whole?.subarray(0, first?.slotLength) ?? new Uint8Array(), bytesOf(golden.packTail)]);
    const before = memoryVault('other');
    before.blobs.stored.set(packBlobKey(account, golden.pack), old);
    before.blobs.stored.set(metadataKey(account, golden.manifest.id), bytesOf(golden.manifestBlob));
    const root = await openManifest(before, golden.manifest);
    const opened = await collect(entries(before, root));
    expect(opened).toEqual(listed);
    const contents = [rawContent, text, noise(50, 'small')];
    for (const [n, entry] of opened.entries())
      expect((await gather(readFile(before, entry))).equals(contents[n] ?? text)).toBe(true);
    expect([...(await readPackIndex(before, golden.pack))]).toEqual(golden.index);
    const names = (await collect(openNames(before, root.nodes))).flatMap((block) => [...namesIn(block)]);
    expect(names.map(({ key }) => key)).toEqual(listed.map(({ key }) => key));
    expect(decodeEntries(bytesOf(golden.entries))).toEqual(listed);
    expect(base64(decryptBytes(keys, 'golden', bytesOf(golden.encrypted)))).toBe(base64(noise(40, 'encrypted')));
    expect(decodeList(keys, partAad(account, 'run_1', 3), bytesOf(golden.part)).list.entries).toEqual(listed);
    expect(parseFileId(keys, golden.fileId)).toEqual(locator);
  });
});
