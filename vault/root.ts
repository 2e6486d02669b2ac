/**
 * The two upper levels of a manifest. The root lists nodes, and is at the end of the manifest's last metadata pack. The
 * log records its hash. A node lists about 16 segments and has the block of their names.
 */
import { hash } from 'node:crypto';
import type { ManifestRef, Totals } from '../domain/backup-chain.ts';
import { VaultDamage } from './damage.ts';
import { decryptBytes } from './encrypted-bytes.ts';
import { numbered } from './entry.ts';
import { type MetadataRef, type MetadataWriter, metadataKey, type ReaderContext, readOne } from './metadata.ts';
import { addTotals, type Extent, extentOfParts, type SegmentRef } from './segment.ts';

export type NodeRef = Extent & MetadataRef;

export type ManifestNode = { names: MetadataRef; segments: SegmentRef[] };

export type ManifestRoot = {
  ref: ManifestRef;
  runId: string;
  at: string;
  /** The manifest that this one is based on. */
  base: string | null;
  /** In order. Most of them may be in the metadata packs of earlier manifests. */
  nodes: NodeRef[];
  /** Without deleted entries and implied folders. */
  totals: Totals;
};

/** A reference as a row. It names its pack by number in `packs`. */
type Row = [number, number, number, string];
type ExtentRow = [string, string, number, number, number, number, number, number];
type NodeWire = { format: number; packs: string[]; names: Row; segments: [...Row, ...ExtentRow][] };
type RootWire = {
  format: number;
  runId: string;
  at: string;
  base: string | null;
  packs: string[];
  nodes: [...Row, ...ExtentRow][];
};

const format = 2;
const magic = 'LBMF';
const trailerLength = 16;
/** Large enough for the root of a manifest with millions of entries. */
const firstRead = 64 * 1024;

/** `segments` must not be empty. */
export function writeNode(writer: MetadataWriter, { names, segments }: ManifestNode): NodeRef {
  const { packs, row } = rows();
  const namesRow = row(names);
  const segmentRows = segments.map((segment): [...Row, ...ExtentRow] => [...row(segment), ...extentRow(segment)]);
  const wire: NodeWire = { format, packs, names: namesRow, segments: segmentRows };
  return { ...extentOfParts(segments), ...writer.add('node', json(wire)) };
}

/** @throws VaultDamage when the node is missing or altered */
export async function readNode(context: ReaderContext, ref: NodeRef): Promise<ManifestNode> {
  return decodeNode(await readOne(context, 'node', ref));
}

export function decodeNode(bytes: Uint8Array): ManifestNode {
  const wire: NodeWire = parsed(bytes);
  return { names: refOf(wire.packs, wire.names), segments: wire.segments.map((row) => extentOfRow(wire.packs, row)) };
}

/** Stores the root, and the open metadata pack with it. The manifest is durable when it resolves. */
export async function writeRoot(
  writer: MetadataWriter,
  fields: Pick<ManifestRoot, 'runId' | 'at' | 'base' | 'nodes'>,
): Promise<ManifestRoot> {
  const { packs, row } = rows();
  const { runId, at, base, nodes } = fields;
  const nodeRows = nodes.map((node): [...Row, ...ExtentRow] => [...row(node), ...extentRow(node)]);
  const wire: RootWire = { format, runId, at, base, packs, nodes: nodeRows };
  const { sha256, length } = writer.add('root', json(wire));
  const trailer = Buffer.alloc(trailerLength);
  trailer.write(magic, 0, 'latin1');
  trailer[4] = format;
  trailer.writeUInt32BE(length, 8);
  const id = await writer.close(trailer);
  return { ...fields, ref: { id, hash: sha256 }, totals: addTotals(nodes.map((node) => node.totals)) };
}

/** @throws VaultDamage when the root is missing or altered, or its hash differs from the log */
export async function readRoot(context: ReaderContext, ref: ManifestRef): Promise<ManifestRoot> {
  const key = metadataKey(context.account, ref.id);
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
  const aad = `root/${context.account}/${ref.id}/${size - trailerLength - length}`;
  const wire: RootWire = parsed(decryptBytes(context.keys, aad, encrypted));
  const nodes = wire.nodes.map((row) => extentOfRow(wire.packs, row));
  const { runId, at, base } = wire;
  return { ref, runId, at, base, nodes, totals: addTotals(nodes.map((node) => node.totals)) };
}

function rootLength(pack: string, trailer: Uint8Array): number {
  const view = Buffer.from(trailer.buffer, trailer.byteOffset, trailer.length);
  const valid = view.length === trailerLength && view.toString('latin1', 0, 4) === magic && view[4] === format;
  if (!valid || view.readUIntBE(5, 3) !== 0 || view.readUInt32BE(12) !== 0) {
    throw new VaultDamage('manifest', `${pack} does not end in a trailer of format ${format}`);
  }
  return view.readUInt32BE(8);
}

/** JSON.stringify writes lone surrogates as escapes, so keys survive it. */
function json(wire: object): Uint8Array {
  return Buffer.from(JSON.stringify(wire));
}

function parsed<T extends { format: number }>(bytes: Uint8Array): T {
  const wire: T = JSON.parse(Buffer.from(bytes).toString());
  if (wire.format !== format) throw new VaultDamage('manifest', `a root or node does not have format ${format}`);
  return wire;
}

/** Packs are numbered in the order of their first row. */
function rows(): { packs: string[]; row(ref: MetadataRef): Row } {
  const { list, number } = numbered();
  return { packs: list, row: ({ pack, offset, length, sha256 }) => [number(pack), offset, length, sha256] };
}

function refOf(packs: string[], [number, offset, length, sha256]: Row): MetadataRef {
  const pack = packs[number];
  if (pack === undefined) throw new VaultDamage('manifest', 'a root or node names an unknown pack');
  return { pack, offset, length, sha256 };
}

function extentRow({ first, last, count, live, totals }: Extent): ExtentRow {
  return [first, last, count, live, totals.files, totals.folders, totals.links, totals.bytes];
}

function extentOfRow(packs: string[], row: [...Row, ...ExtentRow]): Extent & MetadataRef {
  const [number, offset, length, sha256, first, last, count, live, files, folders, links, bytes] = row;
  const totals = { files, folders, links, bytes };
  return { ...refOf(packs, [number, offset, length, sha256]), first, last, count, live, totals };
}
