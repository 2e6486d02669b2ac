/** What was backed up: browse it, and get it back. */
import * as z from 'zod';
import { Problem } from '../../domain/errors.ts';
import { type FilesPosition, findFile, listFiles, files as model } from '../../projections/files.ts';
import { makeDownload } from '../downloads.ts';
import { listRoute, ok, type RouteModule, route } from '../route.ts';
import { idField, time, utc } from '../shapes.ts';

const file = z
  .object({
    id: z.string(),
    sourceId: z.string(),
    jobId: z.string(),
    path: z.string(),
    pathBytes: z.string().optional().meta({ description: 'base64, only where the name is not UTF-8.' }),
    name: z.string(),
    kind: z.enum(['file', 'folder', 'link']),
    size: z.int().min(0),
    modifiedAt: z.string().nullable(),
    sha256: z.string().nullable(),
    mimeType: z.string().nullable(),
    versions: z.int().min(1),
    runId: z.string(),
  })
  .meta({ id: 'File' });

const flag = z.enum(['true', 'false']).optional();

export const data: RouteModule = [
  listRoute({
    url: '/data/files',
    summary: 'Browse what was backed up',
    description: 'A folder at a time, or all below it with `recursive=true`; now or as of a time.',
    tags: ['data'],
    reads: [model.name],
    item: file,
    filters: {
      sourceId: idField('source').optional(),
      jobId: idField('job').optional().meta({ description: "Else the newest good run's of any job of the source." }),
      path: z.string().max(4096).optional().meta({ description: 'A folder, or one file. Default: the root.' }),
      recursive: flag,
      asOf: time.optional().meta({ description: 'The newest good backup not after this time.' }),
    },
    handler: async ({ machine, principal, query, page }) => {
      const { sourceId, jobId, path, recursive, asOf } = query;
      const wanted = { sourceId, jobId, path, recursive: recursive === 'true', asOf: asOf && utc(asOf) };
      const position: FilesPosition | undefined = page.cursor === undefined ? undefined : JSON.parse(page.cursor);
      const { items, next } = await listFiles(machine, principal.account, wanted, { limit: page.limit, ...(position && { position }) });
      return { items, next: next && JSON.stringify(next) };
    },
  }),
  route({
    method: 'POST',
    url: '/data/download',
    summary: 'Get a file back',
    description: 'Answers with an address that needs no other credential, lives 15 minutes and answers ranges.',
    tags: ['data'],
    credentials: true,
    reads: [model.name],
    body: z.strictObject({ fileId: z.string().min(1).max(12_000) }),
    answers: {
      200: z.object({ url: z.url(), expiresAt: z.iso.datetime(), size: z.int().min(0), sha256: z.string() }).meta({ id: 'Download' }),
    },
    problems: ['not-found'],
    handler: async ({ machine, principal, body, headers, context }) => {
      const { entry, moment } = await findFile(machine, principal.account, body.fileId);
      if (entry.kind !== 'file' || entry.sha256 === undefined) {
        const message = `It is a ${entry.kind}: only files have content to download.`;
        throw new Problem('invalid-input', message, { errors: [{ path: 'fileId', message }] });
      }
      const { token, expiresAt } = await makeDownload(machine, { account: principal.account, key: entry.key, manifest: moment.manifest });
      return ok({ url: `${context.origin(headers)}/downloads/${token}`, expiresAt, size: entry.size, sha256: entry.sha256 });
    },
  }),
];
