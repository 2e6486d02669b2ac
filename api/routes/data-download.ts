/** Downloads of backed-up data: a URL for one file, or a zip that is prepared in the background. */
import * as z from 'zod';
import type { CommandContext } from '../../commands/context.ts';
import { grantFileDownload, grantZipDownload, requestZipDownload } from '../../commands/grant-download.ts';
import { displayPath } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import type { Platform } from '../../domain/ports.ts';
import { findRestorePoint, nameIn, readerContext } from '../../projections/files/listing.ts';
import { findVersion } from '../../projections/files/versions.ts';
import { files as model } from '../../projections/files.ts';
import { exportKey } from '../../vault/exports.ts';
import { openManifest } from '../../vault/reader.ts';
import { holdsPath } from '../../vault/selection.ts';
import { findZipDownload } from '../current-state.ts';
import { makeDownload } from '../downloads.ts';
import { accepted, ok, type RouteModule, route } from '../route.ts';
import { exampleId, idField, idParams, time, timeOf, utc } from '../shapes.ts';

/** A body without `fileId` may be meant for a zip. */
const wanted = 'Send `fileId`, or `sourceId` and `paths`.';

const oneFile = z.strictObject({
  fileId: z
    .string({ error: ({ input }) => (input === undefined ? wanted : undefined) })
    .min(1)
    .max(12_000)
    .meta({ description: 'The id of the file, from GET /data/files.' }),
  version: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'The version to download. Default: the newest one with content, also of a deleted file.' }),
});

const zipRequest = z.strictObject({
  sourceId: idField('source'),
  paths: z.array(z.string().max(4096)).min(1).max(500).meta({
    description: 'Files and folders. A folder includes everything below it. An empty path is the whole source.',
  }),
  asOf: time.optional().meta({ description: 'Use the newest restore point at or before this time. Default: now.' }),
});

const zipStatus = z.enum(['preparing', 'ready', 'failed']).meta({ description: 'The state of the zip.' });

export const dataDownload: RouteModule = [
  route({
    method: 'POST',
    url: '/data/download',
    summary: 'Download a file or a zip',
    description:
      'With `fileId`: returns a URL that needs no other credential, expires after 15 minutes and answers ranges. With `sourceId` ' +
      'and `paths`: starts to prepare a zip, and GET /data/downloads/{id} returns its URL. The zip keeps whole paths, times, ' +
      'permissions and links. It writes unsafe parts of names as `%XX`: empty parts, `.`, `..`, drives, backslashes, control ' +
      'characters and bytes that are not UTF-8.',
    tags: ['data'],
    credentials: true,
    leadsTo: { 202: ['GET /data/downloads/{id}'] },
    reads: [model.name],
    body: z.union([zipRequest, oneFile]).meta({
      examples: [
        { fileId: 'file_id-from-data-files' },
        { sourceId: exampleId('source'), paths: ['letters', 'photos/cat.jpg'] },
      ],
    }),
    answers: {
      200: z
        .object({
          url: z.url().meta({ description: 'The download URL. It needs no other credential.' }),
          expiresAt: timeOf('When the URL expires.'),
          size: z.int().min(0).meta({ description: 'Bytes.' }),
          sha256: z.string().meta({ description: 'SHA-256 of the content in hex.' }),
        })
        .meta({ id: 'Download', description: 'The URL of a file.' }),
      202: z
        .object({
          id: z.string().meta({ description: 'The id of the download.', examples: [exampleId('download')] }),
          status: zipStatus,
        })
        .meta({ id: 'ZipRequested', description: 'A zip that is being prepared.' }),
    },
    problems: ['not-found', 'damaged'],
    handler: async ({ platform, command, body, headers, context }) => {
      if ('paths' in body) {
        const { id, written } = await requestZip(platform, command, body);
        return accepted({ id, status: 'preparing' as const }, { written, location: `/data/downloads/${id}` });
      }
      const { account } = command;
      const { entry, manifest, sourceId, jobId } = await findVersion(platform, account, body.fileId, body.version);
      const { key, runId, version, size, sha256 } = entry;
      const written = await grantFileDownload(platform, command, {
        sourceId,
        jobId,
        runId,
        version,
        path: displayPath(key).path,
      });
      const { token, expiresAt } = await makeDownload(platform, { account, key, manifest });
      return ok({ url: `${context.origin(headers)}/downloads/${token}`, expiresAt, size, sha256 }, { written });
    },
  }),
  route({
    method: 'GET',
    url: '/data/downloads/{id}',
    summary: 'Get a prepared zip',
    description:
      'Returns the state of a zip and, once it is ready, its URL. Each request returns a new URL, which expires after at most 15 ' +
      'minutes. The zip is deleted within a day.',
    tags: ['data'],
    credentials: true,
    params: idParams('download'),
    answers: {
      200: z
        .object({
          status: zipStatus,
          url: z.url().optional().meta({ description: 'The download URL, if the zip is ready.' }),
          expiresAt: timeOf('When the URL expires.').optional(),
          error: z
            .object({
              code: z.string().meta({ description: 'The kind of error. Stable.' }),
              message: z.string().meta({ description: 'What happened, then what to do.' }),
            })
            .optional()
            .meta({ description: 'The reason, if the zip failed.' }),
        })
        .meta({ id: 'ZipDownload', description: 'A prepared zip.' }),
    },
    problems: ['not-found', 'gone'],
    handler: async ({ platform, command, params: { id }, headers, context }) => {
      const zip = await findZipDownload(platform, command.account, id);
      if (zip.status !== 'ready')
        return ok({ status: zip.status, ...('reason' in zip && zip.reason ? { error: zip.reason } : {}) });
      await grantZipDownload(platform, command, id);
      const { account } = command;
      const download = { account, blob: exportKey(account, id), name: zipFileName(zip.paths, zip.backedUpAt) };
      const { token, expiresAt } = await makeDownload(platform, download, zip.until);
      return ok({ status: zip.status, url: `${context.origin(headers)}/downloads/${token}`, expiresAt });
    },
  }),
];

const parallelLookups = 16;

/** Requests the zip. Throws Problem `not-found` with the paths that do not exist. */
async function requestZip(
  platform: Platform,
  command: CommandContext,
  { sourceId, paths, asOf }: z.output<typeof zipRequest>,
) {
  const { account } = command;
  const restorePoint = await findRestorePoint(platform, account, { sourceId, asOf: asOf && utc(asOf) });
  if (!restorePoint) {
    throw new Problem(
      'not-found',
      `Source ${sourceId} has no restore point${asOf ? ' at that time' : ''}. List runs with GET /runs.`,
    );
  }
  const vault = await readerContext(platform, account);
  const root = await openManifest(vault, restorePoint.manifest);
  const exists: boolean[] = [];
  for (let first = 0; first < paths.length; first += parallelLookups) {
    const some = paths.slice(first, first + parallelLookups);
    exists.push(...(await Promise.all(some.map((path) => holdsPath(vault, root, path)))));
  }
  const missing = paths.flatMap((path, index) =>
    exists[index] ? [] : [{ path: `paths.${index}`, message: `Path "${path}" does not exist in the restore point.` }],
  );
  if (missing.length > 0) {
    throw new Problem('not-found', `${missing[0]?.message} List files with GET /data/files.`, {
      errors: missing.slice(0, 50),
    });
  }
  const { jobId, runId, manifest, at: backedUpAt } = restorePoint;
  return requestZipDownload(platform, command, { sourceId, jobId, runId, manifest, backedUpAt, paths });
}

/** Names the zip after its only path, or after the day of the restore point. */
function zipFileName(paths: string[], backedUpAt: string): string {
  const [only = ''] = paths.map((path) => nameIn(path.replace(/\/+$/, '')));
  return paths.length === 1 && only !== '' ? `${only}.zip` : `backup-${backedUpAt.slice(0, 10)}.zip`;
}
