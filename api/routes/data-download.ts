/** Getting backed-up data out: an address for a file, or a zip that is prepared in the background. */
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
import { idField, idParams, time, utc } from '../shapes.ts';

const oneFile = z.strictObject({
  fileId: z.string().min(1).max(12_000),
  version: z
    .int()
    .min(1)
    .optional()
    .meta({ description: 'Default: the newest that has content, also of a file that is gone from the source.' }),
});

const aZip = z.strictObject({
  sourceId: idField('source'),
  paths: z
    .array(z.string().max(4096))
    .min(1)
    .max(500)
    .meta({ description: 'Files, and folders with all that is below them. An empty path is the whole source.' }),
  asOf: time.optional().meta({ description: 'From the newest good backup not after this time.' }),
});

const zipStatus = z.enum(['preparing', 'ready', 'failed']);

export const dataDownload: RouteModule = [
  route({
    method: 'POST',
    url: '/data/download',
    summary: 'Get a file back, or a zip of many',
    description:
      'With `fileId`: an address that needs no other credential, lives 15 minutes and answers ranges. With `sourceId` and `paths`: a zip is ' +
      'prepared, which GET /data/downloads/{id} gives the address of. Its entries have their whole paths, times, permissions and links. What would ' +
      'not unpack where it should (empty parts, `.`, `..`, drives, backslashes, control characters, bytes that are not UTF-8) is written as `%XX`.',
    tags: ['data'],
    credentials: true,
    leadsTo: { 202: ['GET /data/downloads/{id}'] },
    reads: [model.name],
    body: z.union([oneFile, aZip]),
    answers: {
      200: z
        .object({ url: z.url(), expiresAt: z.iso.datetime(), size: z.int().min(0), sha256: z.string() })
        .meta({ id: 'Download' }),
      202: z.object({ id: z.string(), status: zipStatus }).meta({ id: 'ZipRequested' }),
    },
    problems: ['not-found'],
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
    summary: 'Look whether a zip is ready, and get its address',
    description: 'The zip is kept for less than a day, each address lives at most 15 minutes: ask again for another.',
    tags: ['data'],
    credentials: true,
    params: idParams('download'),
    answers: {
      200: z
        .object({
          status: zipStatus,
          url: z.url().optional().meta({ description: 'Once it is ready.' }),
          expiresAt: z.iso.datetime().optional(),
          error: z
            .object({ code: z.string(), message: z.string() })
            .optional()
            .meta({ description: 'Why it failed, and what to do.' }),
        })
        .meta({ id: 'ZipDownload' }),
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

/** Paths looked up at once. */
const atOnce = 16;

/** Throws Problem `not-found` that names the paths there is nothing at, before anything is prepared. */
async function requestZip(
  platform: Platform,
  command: CommandContext,
  { sourceId, paths, asOf }: z.output<typeof aZip>,
) {
  const { account } = command;
  const restorePoint = await findRestorePoint(platform, account, { sourceId, asOf: asOf && utc(asOf) });
  if (!restorePoint) {
    throw new Problem(
      'not-found',
      `There is no good backup of source ${sourceId}${asOf ? ' as of then' : ''}. GET /runs lists what was run.`,
    );
  }
  const vault = await readerContext(platform, account);
  const root = await openManifest(vault, restorePoint.manifest);
  const held: boolean[] = [];
  for (let at = 0; at < paths.length; at += atOnce) {
    held.push(...(await Promise.all(paths.slice(at, at + atOnce).map((path) => holdsPath(vault, root, path)))));
  }
  const missing = paths.flatMap((path, index) =>
    held[index] ? [] : [{ path: `paths.${index}`, message: `There is nothing at "${path}".` }],
  );
  if (missing.length > 0) {
    throw new Problem('not-found', `${missing[0]?.message} GET /data/files lists what that backup holds.`, {
      errors: missing.slice(0, 50),
    });
  }
  const { jobId, runId, manifest, at: backedUpAt } = restorePoint;
  return requestZipDownload(platform, command, { sourceId, jobId, runId, manifest, backedUpAt, paths });
}

/** Of one path its name, of several the day of the backup. */
function zipFileName(paths: string[], backedUpAt: string): string {
  const [only = ''] = paths.map((path) => nameIn(path.replace(/\/+$/, '')));
  return paths.length === 1 && only !== '' ? `${only}.zip` : `backup-${backedUpAt.slice(0, 10)}.zip`;
}
