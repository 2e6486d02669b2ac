/** Downloads of backed-up data: a URL for one file, or a zip that is prepared in the background. */
import * as z from 'zod';
import type { CommandContext } from '../../commands/context.ts';
import { progressOf } from '../../commands/export-list.ts';
import { grantFileDownload, grantZipDownload, requestExport } from '../../commands/grant-download.ts';
import type { ManifestRef } from '../../domain/backup-chain.ts';
import { exportKey } from '../../domain/download.ts';
import { displayPath } from '../../domain/entry.ts';
import { Problem } from '../../domain/errors.ts';
import type { Platform } from '../../domain/ports.ts';
import { findRestorePoint, nameIn, readerContext } from '../../projections/files/listing.ts';
import { findVersion } from '../../projections/files/versions.ts';
import { files as model } from '../../projections/files.ts';
import { findEntry, openManifest } from '../../vault/reader.ts';
import { holdsPath } from '../../vault/selection.ts';
import { findDownload } from '../current-state.ts';
import { fileName, makeDownload } from '../downloads.ts';
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

const status = z.enum(['preparing', 'ready', 'failed']).meta({ description: 'The state of the download.' });
const downloadId = z.string().meta({ description: 'The id of the download.', examples: [exampleId('download')] });
const sizeField = z.int().min(0).meta({ description: 'Bytes.' });
const sha256Field = z.string().meta({ description: 'SHA-256 of the content in hex.' });

export const dataDownload: RouteModule = [
  route({
    method: 'POST',
    url: '/data/download',
    summary: 'Download a file or a zip',
    description:
      'With `fileId`: returns a URL that needs no other credential, expires after 15 minutes and answers ranges. On AWS, a file ' +
      'over 4 MiB is prepared first. With `sourceId` and `paths`: starts to prepare a zip. GET /data/downloads/{id} returns the ' +
      'URL of what is prepared. A request of the same content joins the one before. The zip keeps whole paths, times, ' +
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
          size: sizeField,
          sha256: sha256Field,
        })
        .meta({ id: 'Download', description: 'The URL of a file.' }),
      202: z
        .object({ id: downloadId, status })
        .meta({ id: 'DownloadRequested', description: 'A download that is being prepared.' }),
    },
    problems: ['not-found', 'damaged'],
    handler: async ({ platform, command, body, headers, context }) => {
      if ('paths' in body) {
        const { id, written } = await requestZip(platform, command, body);
        return accepted(await stateOf(platform, command.account, id), { written, location: `/data/downloads/${id}` });
      }
      const { account } = command;
      const { entry, manifest, sourceId, jobId } = await findVersion(platform, account, body.fileId, body.version);
      const { key, runId, version, size, sha256 } = entry;
      if (context.exports && size > context.exports.over) {
        const { at: backedUpAt } = entry;
        const request = { sourceId, jobId, runId, manifest, backedUpAt, paths: [key], file: { version } };
        const { id, written } = await requestExport(platform, command, request);
        return accepted(await stateOf(platform, account, id), { written, location: `/data/downloads/${id}` });
      }
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
    summary: 'Get a prepared download',
    description:
      'Returns the state of a prepared zip or file and, once it is ready, its URL. Each request returns a new URL, which expires ' +
      'after at most 15 minutes. A prepared download is deleted within a day.',
    tags: ['data'],
    credentials: true,
    params: idParams('download'),
    answers: {
      200: z
        .object({
          id: downloadId,
          status,
          progress: z.number().min(0).max(1).meta({ description: 'The part that is done, from 0 to 1.' }),
          url: z.url().optional().meta({ description: 'The download URL, if the download is ready.' }),
          expiresAt: timeOf('When the URL expires.').optional(),
          size: sizeField.optional(),
          sha256: sha256Field.optional().meta({ description: 'SHA-256 of a file in hex. A zip has none.' }),
          error: z
            .object({
              code: z.string().meta({ description: 'The kind of error. Stable.' }),
              message: z.string().meta({ description: 'What happened, then what to do.' }),
            })
            .optional()
            .meta({ description: 'The reason, if the download failed.' }),
        })
        .meta({ id: 'PreparedDownload', description: 'A prepared zip or file.' }),
    },
    problems: ['not-found', 'gone'],
    handler: async ({ platform, command, params: { id }, headers, context }) => {
      const { account } = command;
      const found = await findDownload(platform, account, id);
      const { status } = found;
      const blob = exportKey(account, id);
      if (status !== 'ready') {
        const progress = status === 'preparing' ? Math.min(await progressOf(platform, blob), 0.99) : 0;
        return ok({ id, status, progress, ...('reason' in found && found.reason ? { error: found.reason } : {}) });
      }
      await grantZipDownload(platform, command, id);
      const { size, until, paths, backedUpAt, file } = found;
      const sha256 = file && (await sha256Of(platform, account, file));
      const name = file ? fileName(file.key) : zipFileName(paths, backedUpAt);
      const { token, expiresAt } = await makeDownload(platform, { account, blob, name, size }, until);
      const url = `${context.origin(headers)}/downloads/${token}`;
      return ok({ id, status, progress: 1, url, expiresAt, size, ...(sha256 !== undefined && { sha256 }) });
    },
  }),
];

async function stateOf(platform: Platform, account: string, id: string) {
  return { id, status: (await findDownload(platform, account, id)).status };
}

async function sha256Of(
  platform: Platform,
  account: string,
  { manifest, key }: { manifest: ManifestRef; key: string },
): Promise<string | undefined> {
  const vault = await readerContext(platform, account);
  return (await findEntry(vault, await openManifest(vault, manifest), key))?.sha256;
}

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
  return requestExport(platform, command, { sourceId, jobId, runId, manifest, backedUpAt, paths });
}

/** Names the zip after its only path, or after the day of the restore point. */
function zipFileName(paths: string[], backedUpAt: string): string {
  const [only = ''] = paths.map((path) => nameIn(path.replace(/\/+$/, '')));
  return paths.length === 1 && only !== '' ? `${only}.zip` : `backup-${backedUpAt.slice(0, 10)}.zip`;
}
