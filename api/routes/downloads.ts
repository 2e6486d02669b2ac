/** The bytes behind a download address. */
import { Readable } from 'node:stream';
import mime from 'mime';
import * as z from 'zod';
import { displayPath } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import { readerContext } from '../../projections/files.ts';
import { readFile } from '../../vault/read-file.ts';
import { findEntry, openManifest } from '../../vault/reader.ts';
import { attachment, openDownload, rangeOf } from '../downloads.ts';
import { type ApiContext, type RouteModule, route } from '../route.ts';

export const downloads: RouteModule = [
  route({
    method: 'GET',
    url: '/downloads/{token}',
    summary: 'The bytes behind a download address',
    tags: ['data'],
    public: true,
    params: z.strictObject({ token: z.string() }),
    answers: { 200: z.any(), 206: z.any(), 307: z.undefined() },
    problems: ['not-found', 'gone', 'range-not-satisfiable'],
    handler: async ({ machine, context, params, headers: asked }) => {
      const { account, key, manifest } = await openDownload(machine, params.token);
      const vault = await readerContext(machine, account);
      const entry = await findEntry(vault, await openManifest(vault, manifest), key);
      if (!entry?.sha256) throw new Problem('gone', 'The backup this file was in is no longer kept.');
      const name = displayPath(key).path.split('/').at(-1) || 'file';
      const type = entry.mimeType ?? mime.getType(name) ?? 'application/octet-stream';
      const etag = `"${entry.sha256}"`;
      const resumed = asked['if-range'] === undefined || asked['if-range'] === etag;
      const range = resumed ? rangeOf(asked.range, entry.size) : undefined;
      const length = range?.length ?? entry.size;
      if (context.exports && length > context.exports.over) {
        const location = await exported(context.exports, vault, { ...entry, sha256: entry.sha256 }, { fileName: attachment(name), type });
        const headers: { [name: string]: string } = { location };
        return { status: 307 as const, body: undefined, headers };
      }
      const about: { [name: string]: string } = {
        'content-type': type,
        'content-length': String(length),
        'content-disposition': attachment(name),
        'content-security-policy': "default-src 'none'; sandbox",
        'accept-ranges': 'bytes',
        'cross-origin-resource-policy': 'cross-origin',
        etag,
      };
      const body = Readable.from(readFile(vault, entry, range));
      if (!range) return { status: 200 as const, body, headers: about };
      const last = range.offset + range.length - 1;
      about['content-range'] = `bytes ${range.offset}-${last}/${entry.size}`;
      return { status: 206 as const, body, headers: about };
    },
  }),
];

/** Puts the whole file together once, under the name of its content, and gives a link to it. Lifecycle rules take it away. */
async function exported(
  exports: NonNullable<ApiContext['exports']>,
  vault: Awaited<ReturnType<typeof readerContext>>,
  entry: { key: string; sha256: string; size: number },
  as: { fileName: string; type: string },
): Promise<string> {
  const key = `exports/${vault.account}/${entry.sha256}`;
  if ((await vault.blobs.size(key)) !== entry.size) await vault.blobs.put(key, readFile(vault, entry));
  return exports.link(key, as);
}
