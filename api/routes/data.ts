/** Backed-up files: browse them, list their versions, search them. */
import * as z from 'zod';
import { type FilesPosition, listFiles } from '../../projections/files/listing.ts';
import { searchFiles } from '../../projections/files/search.ts';
import { listVersions } from '../../projections/files/versions.ts';
import { files as model } from '../../projections/files.ts';
import { listRoute, type RouteModule } from '../route.ts';
import { exampleId, idField, idOf, time, utc } from '../shapes.ts';

const file = z
  .object({
    id: z.string().meta({ description: 'The id of the file. All its versions share it.' }),
    sourceId: idOf('source'),
    jobId: idOf('job'),
    path: z
      .string()
      .meta({ description: 'The path in the source, with `/` between names.', examples: ['letters/a.txt'] }),
    pathBytes: z.string().optional().meta({ description: 'The bytes of the path in base64, if they are not UTF-8.' }),
    name: z.string().meta({ description: 'The last part of the path.', examples: ['a.txt'] }),
    kind: z.enum(['file', 'folder', 'link']).meta({ description: 'The kind of entry. A link is a symbolic link.' }),
    size: z.int().min(0).meta({ description: 'Bytes.' }),
    modifiedAt: z.string().nullable().meta({ description: 'The modification time, null if the source has none.' }),
    sha256: z.string().nullable().meta({ description: 'SHA-256 of the content in hex. Null for folders and links.' }),
    mimeType: z.string().nullable().meta({ description: 'The MIME type, null if it is unknown.' }),
    versions: z.int().min(1).meta({ description: 'The number of versions up to this one.' }),
    runId: z
      .string()
      .meta({ description: 'The id of the run that backed up this version.', examples: [exampleId('run')] }),
  })
  .meta({ id: 'File', description: 'A file, folder or link in a restore point.' });

const version = z
  .object({
    version: z.int().min(1).meta({ description: 'The number of the version, from 1.' }),
    runId: z.string().meta({ description: 'The id of the run that backed up the version or recorded the deletion.' }),
    at: z.string().meta({ description: 'The time of the restore point.' }),
    size: z.int().min(0).meta({ description: 'Bytes.' }),
    sha256: z.string().nullable().meta({ description: 'SHA-256 of the content in hex. Null if there is no content.' }),
    deleted: z.boolean().meta({ description: 'Whether this version records that the file was deleted.' }),
  })
  .meta({ id: 'FileVersion', description: 'One version of a file.' });

const size = z.int().min(0).optional();

const searchFields = z.strictObject({
  query: z
    .string()
    .max(1000)
    .meta({
      description:
        'Words that must all occur in the path. Case and accents are ignored. Empty: every path matches. At most 20 ' +
        'different words.',
    }),
  sourceId: idField('source').optional().meta({ description: 'Only files of this source.' }),
  types: z
    .array(z.string().trim().regex(/\S/, 'Give a type.').max(200))
    .min(1)
    .max(50)
    .optional()
    .meta({
      description:
        'Only files of one of these types. A type is a MIME type (`image/png`), a group of MIME types (`image/*` or `image`), the ' +
        'end of a name (`pdf`, `.pdf` or `tar.gz`), or a kind (`file`, `folder` or `link`).',
    }),
  minSize: size.meta({ description: 'The minimum size in bytes. Excludes folders and links.' }),
  maxSize: size.meta({ description: 'The maximum size in bytes. Excludes folders and links.' }),
  modifiedAfter: time
    .optional()
    .meta({ description: 'Only files modified at or after this time. Excludes files without a time.' }),
  modifiedBefore: time
    .optional()
    .meta({ description: 'Only files modified before this time. Excludes files without a time.' }),
  asOf: time.optional().meta({ description: 'Use the newest restore point at or before this time. Default: now.' }),
});
const search = searchFields.meta({ examples: [{ query: 'invoice 2026', types: ['pdf'], minSize: 1 }] });

const fileParams = z.strictObject({ id: z.string().meta({ description: 'The id of the file.' }) });

const pages =
  'A page that takes long ends early, with fewer items than `limit` or none: continue until `next` is null. A page ends ' +
  'before a damaged restore point. The next page is a 409 `backup-damaged` that names it. Without a `sourceId` or ' +
  '`jobId` the problem has a `next`: send it as the cursor to get the other sources.';

export const data: RouteModule = [
  listRoute({
    url: '/data/files',
    summary: 'Browse files',
    description:
      'Lists a folder in the newest restore point of each source, or in the restore point at `asOf`. With `recursive=true`, it lists everything below the folder. ' +
      pages,
    leadsTo: {
      200: [
        'GET /data/files/{id}/versions',
        { to: 'POST /data/download', body: { fileId: '$response.body#/items/0/id' } },
      ],
    },
    tags: ['data'],
    reads: [model.name],
    problems: ['backup-damaged'],
    item: file,
    filters: {
      sourceId: idField('source').optional().meta({ description: 'Only this source. Default: all sources.' }),
      jobId: idField('job')
        .optional()
        .meta({ description: 'Only restore points of this job. Default: the newest one of any job of the source.' }),
      path: z.string().max(4096).optional().meta({ description: 'The path of a folder or file. Default: the root.' }),
      recursive: z
        .enum(['true', 'false'])
        .optional()
        .meta({ description: 'Whether to list everything below the folder. Default: `false`.' }),
      asOf: time.optional().meta({ description: 'Use the newest restore point at or before this time. Default: now.' }),
    },
    handler: async ({ platform, principal, query, page }) => {
      const { sourceId, jobId, path, recursive, asOf } = query;
      const wanted = { sourceId, jobId, path, recursive: recursive === 'true', asOf: asOf && utc(asOf) };
      const { items, next } = await listFiles(platform, principal.account, wanted, {
        limit: page.limit,
        ...positionOf(page),
      });
      return { items, next: next && JSON.stringify(next) };
    },
  }),
  listRoute({
    url: '/data/files/{id}/versions',
    summary: 'List the versions of a file',
    description: 'Lists all versions, newest first. A deletion is a version too: it is `deleted` and has no content.',
    tags: ['data'],
    reads: [model.name],
    params: fileParams,
    item: version,
    problems: ['not-found', 'damaged'],
    handler: ({ platform, principal, params, page }) => listVersions(platform, principal.account, params.id, page),
  }),
  listRoute({
    url: '/data/search',
    summary: 'Search files',
    description: `Searches the newest restore point of each source, or the one at \`asOf\`, in the order of paths. ${pages}`,
    tags: ['data'],
    reads: [model.name],
    problems: ['backup-damaged'],
    item: file,
    body: search,
    handler: async ({ platform, principal, body, page }) => {
      const wanted = { ...body, asOf: body.asOf && utc(body.asOf) };
      const { items, next } = await searchFiles(platform, principal.account, wanted, {
        limit: page.limit,
        ...positionOf(page),
      });
      return { items, next: next && JSON.stringify(next) };
    },
  }),
];

function positionOf(page: { cursor?: string }): { position?: FilesPosition } {
  return page.cursor === undefined ? {} : { position: JSON.parse(page.cursor) };
}
