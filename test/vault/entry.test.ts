import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { makeId } from '../../crypto/ids.ts';
import { compareEntries, keyFromBytes } from '../../domain/entry.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { decryptBytes, encryptBytes } from '../../vault/encrypted-bytes.ts';
import { decodeEntries, decodeStates, encodeEntries, type ManifestEntry } from '../../vault/entry.ts';
import { changesOfPart, decodeList, encodeList, type Part, partAad } from '../../vault/part.ts';
import { account, flipped, found, keys, noise, otherKeys } from './vault-fixture.ts';

/** Any bytes that a file system may have in names, also invalid UTF-8. */
const key = fc.uint8Array({ minLength: 1, maxLength: 12 }).map(keyFromBytes);
const nat = fc.nat(2 ** 40);
const pack = fc.nat(3).map((n) => makeId('pack', noise(16, n)));
const ref = fc.record({ pack, slot: fc.nat(20), slotOffset: nat, slotLength: nat, offset: nat, length: nat });
const entry: fc.Arbitrary<ManifestEntry> = fc.record(
  {
    key,
    kind: fc.constantFrom('file', 'folder', 'link'),
    size: fc.nat(2 ** 51),
    modifiedAt: fc.oneof(
      fc.constant(null),
      fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-01T00:00:00.123456789Z', 'yesterday'),
    ),
    revision: fc.string({ unit: 'grapheme' }),
    mode: fc.nat(0o7777),
    target: key,
    mimeType: fc.constantFrom('text/plain', 'image/png'),
    id: fc.constantFrom('id/1', 'é'),
    sha256: fc.nat().map((n) => Buffer.from(noise(32, n)).toString('hex')),
    chunks: fc.array(ref, { maxLength: 4 }),
    runId: fc.constantFrom('run_1', 'run_2'),
    at: fc.constantFrom('2026-02-01T00:00:00.000Z', '2026-03-01T00:00:00.000Z'),
    version: fc.nat(),
    previous: fc.constantFrom('man_1', 'man_2'),
    deleted: fc.constant(true),
    implied: fc.constant(true),
  },
  { requiredKeys: ['key', 'kind', 'size', 'modifiedAt', 'revision', 'runId', 'at', 'version'] },
);
const sorted = fc
  .uniqueArray(entry, { maxLength: 30, selector: (one) => one.key })
  .map((all) => all.sort((a, b) => compareEntries(a.key, b.key)));

describe('entries', () => {
  it('round-trip, whatever bytes are in their names', () => {
    fc.assert(fc.property(sorted, (entries) => void expect(decodeEntries(encodeEntries(entries))).toEqual(entries)));
    const lone = [found('a\udc80\udcff/'), found('b💀\udcfe')].map((one) => ({ ...one, version: 1 }));
    expect(decodeEntries(encodeEntries(lone))).toEqual(lone);
  });

  it('decode to the states that a comparison needs, and to the names of all packs', () => {
    fc.assert(
      fc.property(sorted, (entries) => {
        const { states, names } = decodeStates(encodeEntries(entries));
        const wanted = entries.map(({ key: of, kind, revision, id, deleted, implied }) => ({
          ...{ key: of, kind, revision },
          ...(id !== undefined && { id }),
          ...(deleted && { deleted }),
          ...(implied && { implied }),
        }));
        expect(states).toEqual(wanted);
        for (const one of entries) for (const chunk of one.chunks ?? []) expect(names).toContain(chunk.pack);
      }),
    );
  });

  it('refuse numbers that would not round-trip', () => {
    for (const size of [-1, 0.5, Number.NaN, 2 ** 53])
      expect(() => encodeEntries([found('a', { size })])).toThrow(/cannot hold/);
  });

  it('take about 60 bytes each, encrypted, for small files', () => {
    const entries = Array.from({ length: 1000 }, (_, n) => {
      const size = 100 + ((n * 7919) % 30_000);
      const chunk = {
        pack: makeId('pack', noise(16)),
        slot: n >> 5,
        slotOffset: (n >> 5) * 400_000,
        slotLength: 400_000,
        offset: (n & 31) * 15_000,
        length: size,
      };
      const inode = Buffer.from(noise(4, `inode ${n}`)).readUInt32BE();
      return {
        ...found(`src/components/module-${n % 40}/file-${String(n).padStart(4, '0')}.tsx`),
        size,
        modifiedAt: new Date(1.76e12 + inode).toISOString(),
        revision: `${size}-${1.76e12 + inode}-${inode}`,
        mode: 0o644,
        sha256: Buffer.from(noise(32, n)).toString('hex'),
        chunks: [chunk],
        version: 1,
      };
    });
    expect(encryptBytes(keys, 'test', encodeEntries(entries)).length).toBeLessThan(64_000);
  });

  it('throw VaultDamage for bytes that are not entries', () => {
    const bytes = encodeEntries([{ ...found('a'), version: 1 }]);
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeEntries(bytes.subarray(0, length))).toThrow(VaultDamage);
  });
});

describe('encrypted bytes', () => {
  const aad = 'work/acc_1/run_1';

  it('decrypt with the same aad, and are the same each time', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), fc.string(), (bytes, about) => {
        const encrypted = encryptBytes(keys, about, bytes);
        expect(Buffer.from(decryptBytes(keys, about, encrypted)).equals(bytes)).toBe(true);
        expect(encryptBytes(keys, about, bytes)).toEqual(encrypted);
      }),
    );
  });

  it('never share a key between different contents', () => {
    const salt = (bytes: Uint8Array, about: string) =>
      Buffer.from(encryptBytes(keys, about, bytes).subarray(4, 20)).toString('hex');
    expect(new Set([salt(noise(50, 1), 'a'), salt(noise(50, 2), 'a'), salt(noise(50, 1), 'b')]).size).toBe(3);
  });

  it('do not decrypt when altered, truncated or used as another object', () => {
    const encrypted = encryptBytes(keys, aad, new TextEncoder().encode('names and paths '.repeat(20)));
    for (let at = 0; at < encrypted.length; at++) {
      expect(() => decryptBytes(keys, aad, flipped(encrypted, at)), `byte ${at}`).toThrow(VaultDamage);
      expect(() => decryptBytes(keys, aad, encrypted.subarray(0, at)), `${at} bytes`).toThrow(VaultDamage);
    }
    expect(() => decryptBytes(keys, `${aad}2`, encrypted)).toThrow(VaultDamage);
    expect(() => decryptBytes(otherKeys, aad, encrypted)).toThrow(VaultDamage);
  });

  it('show nothing of their content', () => {
    expect(Buffer.from(encryptBytes(keys, aad, Buffer.from('secret-name'))).includes('secret-name')).toBe(false);
  });
});

describe('part', () => {
  const refusal = { key: 'x\udc80', code: 'denied', message: 'no permission' };
  const part: Part = {
    entries: [
      { ...found('a'), version: 0 },
      { ...found('b\udcff'), version: 0 },
    ],
    deleted: ['A', 'a', 'aa\udc81', 'z'],
    failed: [refusal],
    skipped: [{ ...refusal, key: 'socket' }],
  };
  const bytes = encodeList(keys, partAad(account, 'run_1', 1), part, { more: [1] });
  const decode = (run: string, batch: number, of = account, from = bytes) =>
    decodeList(keys, partAad(of, run, batch), from);

  it('round-trips, but only as that batch of that run of that account', () => {
    expect(decode('run_1', 1)).toEqual({ list: part, more: { more: [1] } });
    expect(() => decode('run_1', 2)).toThrow(VaultDamage);
    expect(() => decode('run_2', 1)).toThrow(VaultDamage);
    expect(() => decode('run_1', 1, 'acc_2')).toThrow(VaultDamage);
    for (let at = 0; at < bytes.length; at++)
      expect(() => decode('run_1', 1, account, flipped(bytes, at))).toThrow(VaultDamage);
  });

  it('gives its changes in order, and a key that is both found and deleted counts as found', () => {
    const changes = changesOfPart(part).map((change) => ('put' in change ? `+${change.put.key}` : `-${change.delete}`));
    expect(changes).toEqual(['-A', '+a', '-aa\udc81', '+b\udcff', '-z']);
  });
});
