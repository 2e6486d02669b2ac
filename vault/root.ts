/** The root of a manifest: its list of segments. It is at the end of the manifest's blob. The log records its hash. */
import { hash } from 'node:crypto';
import type { ManifestRef, Totals } from '../domain/backup-chain.ts';
import { VaultDamage } from './damage.ts';
import { decryptBytes, encryptBytes } from './encrypted-bytes.ts';
import type { VaultKeys } from './keys.ts';
import { addTotals, manifestBlobKey, type ReaderContext, type SegmentRef } from './segment.ts';

export type ManifestRoot = {
  ref: ManifestRef;
  runId: string;
  at: string;
  /** The manifest that this one is based on. */
  base: string | null;
  /** In key order. Most of them may be in the blobs of earlier manifests. */
  segments: SegmentRef[];
  /** Without deleted entries. */
  totals: Totals;
};

type Fields = Omit<ManifestRoot, 'ref' | 'totals'>;
/** A segment as a row. It names its manifest by number in `manifests`. */
type Row = [string, string, number, number, number, string, number, number, number, number, number];
type Wire = { format: number; runId: string; at: string; base: string | null; manifests: string[]; segments: Row[] };

const format = 1;
const magic = 'LBMF';
const trailerLength = 16;
/** Large enough for the root of a manifest with a few hundred thousand entries. */
const firstRead = 64 * 1024;

/** The end of a manifest's blob: encrypted root and trailer. */
export function encryptRoot(
  context: { account: string; keys: VaultKeys },
  manifest: string,
  fields: Fields,
): { bytes: Uint8Array; root: ManifestRoot } {
  const manifests = [...new Set(fields.segments.map((segment) => segment.manifest))];
  const numbers = new Map(manifests.map((id, number) => [id, number]));
  const segments = fields.segments.map(
    ({ first, last, manifest: holder, offset, length, sha256, count, totals: t }): Row => {
      return [
        first,
        last,
        numbers.get(holder) ?? 0,
        offset,
        length,
        sha256,
        count,
        t.files,
        t.folders,
        t.links,
        t.bytes,
      ];
    },
  );
  const { runId, at, base } = fields;
  const wire: Wire = { format, runId, at, base, manifests, segments };
  const encrypted = encryptBytes(context.keys, aad(context.account, manifest), Buffer.from(JSON.stringify(wire)));
  const trailer = Buffer.alloc(trailerLength);
  trailer.write(magic, 0, 'latin1');
  trailer[4] = format;
  trailer.writeUInt32BE(encrypted.length, 8);
  const root = {
    ...fields,
    ref: { id: manifest, hash: hash('sha256', encrypted) },
    totals: addTotals(fields.segments.map((s) => s.totals)),
  };
  return { bytes: Buffer.concat([encrypted, trailer]), root };
}

/** @throws VaultDamage when the manifest is missing or damaged, or its hash is not that of `ref` */
export async function readRoot(context: ReaderContext, ref: ManifestRef): Promise<ManifestRoot> {
  const key = manifestBlobKey(context.account, ref.id);
  const size = await context.blobs.size(key);
  if (size === undefined) throw new VaultDamage('manifest', `${ref.id} is missing`);
  const tail = async (length: number) =>
    (await context.blobs.get(key, { offset: size - length, length })) ?? new Uint8Array();
  let end = await tail(Math.min(size, firstRead));
  const length = rootLength(ref.id, end.subarray(Math.max(0, end.length - trailerLength)));
  if (length + trailerLength > size) throw new VaultDamage('manifest', `${ref.id} is truncated`);
  if (length + trailerLength > end.length) end = await tail(length + trailerLength);
  const encrypted = end.subarray(end.length - trailerLength - length, end.length - trailerLength);
  if (hash('sha256', encrypted) !== ref.hash)
    throw new VaultDamage('manifest', `${ref.id} is not the manifest that the log recorded`);
  return decryptRoot(context, ref, encrypted);
}

function rootLength(manifest: string, trailer: Uint8Array): number {
  const view = Buffer.from(trailer.buffer, trailer.byteOffset, trailer.length);
  const valid = view.length === trailerLength && view.toString('latin1', 0, 4) === magic && view[4] === format;
  if (!valid || view.readUIntBE(5, 3) !== 0 || view.readUInt32BE(12) !== 0) {
    throw new VaultDamage('manifest', `${manifest} does not end in a trailer of format ${format}`);
  }
  return view.readUInt32BE(8);
}

function decryptRoot(context: ReaderContext, ref: ManifestRef, encrypted: Uint8Array): ManifestRoot {
  const wire: Wire = JSON.parse(
    Buffer.from(decryptBytes(context.keys, aad(context.account, ref.id), encrypted)).toString(),
  );
  if (wire.format !== format) throw new VaultDamage('manifest', `the root of ${ref.id} does not have format ${format}`);
  const { runId, at, base, manifests } = wire;
  const segments = wire.segments.map(
    ([first, last, holder, offset, length, sha256, count, files, folders, links, bytes]): SegmentRef => {
      const manifest = manifests[holder] ?? ref.id;
      return { first, last, manifest, offset, length, sha256, count, totals: { files, folders, links, bytes } };
    },
  );
  return { ref, runId, at, base, segments, totals: addTotals(segments.map((segment) => segment.totals)) };
}

function aad(account: string, manifest: string): string {
  return `root/${account}/${manifest}`;
}
