/** What was backed up: browse it, look into its past, search it. */
import * as z from 'zod';
import { type FilesPosition, listFiles } from '../../projections/files/listing.ts';
import { searchFiles } from '../../projections/files/search.ts';
import { listVersions } from '../../projections/files/versions.ts';
import { files as model } from '../../projections/files.ts';
import { listRoute, type RouteModule } from '../route.ts';
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

const version = z
  .object({
    version: z.int().min(1),
    runId: z.string().meta({ description: 'The run that backed it up, or found it gone.' }),
    at: z.string(),
    size: z.int().min(0),
    sha256: z.string().nullable(),
    deleted: z.boolean(),
  })
  .meta({ id: 'FileVersion' });

const size = z.int().min(0).optional();

const search = z.strictObject({
  query: z.string().max(1000).meta({
    description:
      'Words that all occur in the path, each anywhere in it; neither case nor accents count. Empty: whatever passes the filters.',
  }),
  sourceId: idField('source').optional(),
  types: z
    .array(z.string().trim().min(1).max(200))
    .min(1)
    .max(50)
    .optional()
    .meta({
      description:
        'One of them has to fit. Each is a MIME type (`image/png`), a group of them (`image/*` or `image`), how the name ends (`pdf` or ' +
        '`.pdf`, `tar.gz`), or a kind (`file`, `folder`, `link`).',
    }),
  minSize: size.meta({ description: 'Bytes, inclusive. With either of the two, only files are found.' }),
  maxSize: size.meta({ description: 'Bytes, inclusive.' }),
  modifiedAfter: time
    .optional()
    .meta({ description: 'Inclusive. With either of the two, what has no time is left out.' }),
  modifiedBefore: time.optional().meta({ description: 'Exclusive.' }),
});

const fileParams = z.strictObject({ id: z.string().meta({ description: 'The id of a file.', example: 'file_…' }) });

const flag = z.enum(['true', 'false']).optional();

export const data: RouteModule = [
  listRoute({
    url: '/data/files',
    summary: 'Browse what was backed up',
    description: 'A folder at a time, or all below it with `recursive=true`; now or as of a time.',
    leadsTo: {
      200: [
        'GET /data/files/{id}/versions',
        { to: 'POST /data/download', body: { fileId: '$response.body#/items/0/id' } },
      ],
    },
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
    summary: 'List the versions of a file, newest first',
    description: 'Also of one that is gone from the source: that is a version too, `deleted` and without content.',
    tags: ['data'],
    reads: [model.name],
    params: fileParams,
    item: version,
    problems: ['not-found'],
    handler: ({ platform, principal, params, page }) => listVersions(platform, principal.account, params.id, page),
  }),
  listRoute({
    url: '/data/search',
    summary: 'Search the newest backups',
    description:
      'Goes through the newest good backup of each source. A page is a bounded piece of work: it may hold fewer items than asked for, even ' +
      'none, and still have a `next`; go on until that is null. `limit` and `cursor` are in the address, as for every list.',
    tags: ['data'],
    reads: [model.name],
    item: file,
    body: search,
    handler: async ({ platform, principal, body, page }) => {
      const { items, next } = await searchFiles(platform, principal.account, body, {
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
