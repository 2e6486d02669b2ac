/** Serves the bytes behind a download URL. */
import { Readable } from 'node:stream';
import { create as contentDisposition } from 'content-disposition';
import mime from 'mime';
import * as z from 'zod';
import { Problem } from '../../domain/errors.ts';
import type { ByteRange, Platform } from '../../domain/ports.ts';
import { readerContext } from '../../projections/files/listing.ts';
import { VaultDamage } from '../../vault/damage.ts';
import { readExport, readPlainExport } from '../../vault/exports.ts';
import { recordDamage } from '../../vault/pack-registry.ts';
import { readFile } from '../../vault/read-file.ts';
import { findEntry, openManifest, type ReaderContext } from '../../vault/reader.ts';
import { type Download, fileName, openDownload, rangeOf } from '../downloads.ts';
import { type RouteModule, route } from '../route.ts';

/** The content of a download. `blob`: the prepared blob that holds it. */
type Content = {
  name: string;
  type: string;
  size: number;
  tag: string;
  read(range?: ByteRange): AsyncIterable<Uint8Array>;
  blob?: string;
};

export const downloads: RouteModule = [
  route({
    method: 'GET',
    url: '/downloads/{token}',
    summary: 'Download the content of a download URL',
    description:
      'The token in the path is the only credential. Answers byte ranges. On AWS, large answers of a prepared download get a 307 to a signed S3 URL.',
    tags: ['data'],
    public: true,
    params: z.strictObject({ token: z.string().meta({ description: 'The token from the download URL.' }) }),
    answers: { 200: z.any(), 206: z.any(), 307: z.undefined() },
    problems: ['not-found', 'gone', 'damaged', 'range-not-satisfiable'],
    handler: async ({ platform, context, params, headers: requested, isHead }) => {
      const isPlain = context.exports !== undefined;
      const content = await contentOf(platform, await openDownload(platform, params.token), isPlain);
      const { name, type, size } = content;
      const etag = `"${content.tag}"`;
      const ifRange = requested['if-range'];
      const range = ifRange === undefined || ifRange === etag ? rangeOf(requested.range, size) : undefined;
      const length = range?.length ?? size;
      const disposition = contentDisposition(name.toWellFormed());
      // The link is signed for GET. A HEAD request needs no content.
      if (context.exports && content.blob !== undefined && length > context.exports.over && !isHead) {
        const location = await context.exports.link(content.blob, { fileName: disposition, type });
        const headers: { [name: string]: string } = { location };
        return { status: 307 as const, body: undefined, headers };
      }
      const headers: { [name: string]: string } = {
        'content-type': type,
        'content-length': String(length),
        'content-disposition': disposition,
        'content-security-policy': "default-src 'none'; sandbox",
        'accept-ranges': 'bytes',
        'cross-origin-resource-policy': 'cross-origin',
        etag,
      };
      const body = Readable.from(content.read(range));
      if (!range) return { status: 200 as const, body, headers };
      const last = range.offset + range.length - 1;
      headers['content-range'] = `bytes ${range.offset}-${last}/${size}`;
      return { status: 206 as const, body, headers };
    },
  }),
];

/** `isPlain`: prepared blobs are not encrypted. */
async function contentOf(platform: Platform, download: Download, isPlain: boolean): Promise<Content> {
  const vault = await readerContext(platform, download.account);
  return 'blob' in download ? blobContent(platform, vault, download, isPlain) : fileContent(platform, vault, download);
}

async function fileContent(
  platform: Platform,
  vault: ReaderContext,
  { key, manifest }: Extract<Download, { key: string }>,
): Promise<Content> {
  const entry = await findEntry(vault, await openManifest(vault, manifest), key);
  if (!entry?.sha256)
    throw new Problem(
      'gone',
      'The restore point of this file no longer exists. Choose another version with GET /data/files/{id}/versions.',
    );
  const { sha256, size } = entry;
  const name = fileName(key);
  const type = entry.mimeType ?? mime.getType(name) ?? 'application/octet-stream';
  const read = (range?: ByteRange) => noting(platform, vault, readFile(vault, entry, range));
  return { name, type, size, tag: sha256, read };
}

async function blobContent(
  { blobs }: Platform,
  { keys }: ReaderContext,
  { blob, name, size }: Extract<Download, { blob: string }>,
  isPlain: boolean,
): Promise<Content> {
  if ((await blobs.size(blob)) === undefined)
    throw new Problem('gone', 'The prepared download no longer exists. Request a new one with POST /data/download.');
  const read = (range: ByteRange = { offset: 0, length: size }) =>
    isPlain
      ? readPlainExport(blobs, { blob, size }, range)
      : readExport(blobs, { key: keys.exports, blob, size }, range);
  const tag = blob.slice(blob.lastIndexOf('/') + 1);
  return { name, type: mime.getType(name) ?? 'application/octet-stream', size, tag, read, blob };
}

/** Records a pack that is missing or altered, so that the next run stores its files again. */
async function* noting(
  { records, log, now }: Platform,
  vault: ReaderContext,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  try {
    yield* content;
  } catch (error) {
    if (error instanceof VaultDamage && error.pack) {
      log.warn('a download found a damaged pack', { pack: error.pack, fault: error.message });
      await recordDamage({ ...vault, records }, error.pack, now());
    }
    throw error;
  }
}
