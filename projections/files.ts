/**
 * Finds the manifest of a restore point. Files have no rows of their own. Their read model is the manifests, which are
 * sorted and shared between runs. `files/listing.ts` reads both.
 */
import type { ManifestRef } from '../domain/backup-chain.ts';
import type { JsonObject, RowChange } from '../domain/ports.ts';
import { accountOf, type Projection } from './engine/projection.ts';

/** A restore point and its manifest. `at` is UTC ISO-8601. */
export type RestorePoint = { sourceId: string; jobId: string; runId: string; at: string; manifest: ManifestRef };

/**
 * The prefix of each kind of row. Below `source` and `job` are restore points by time, and below `held` the sources
 * that have one. Below `manifest` are references by manifest id.
 */
export const prefixes = { source: 'source#', job: 'job#', held: 'held#', manifest: 'manifest#' };

export const files: Projection = {
  name: 'files',
  version: 2,
  streams: ['backup-chain'],
  on: {
    RestorePointCreated: (event) => {
      const { sourceId, jobId, runId, manifest, isUnchanged, backupChain } = event.data;
      const at = backupChain.newestRestorePoint?.at ?? event.at;
      const restorePoint: RestorePoint = { sourceId, jobId, runId, at, manifest };
      const put = (sk: string, data: JsonObject): RowChange => ({
        op: 'put',
        table: 'files',
        pk: accountOf(event),
        sk,
        data,
      });
      return [
        put(`${prefixes.source}${sourceId}#${at}#${runId}`, restorePoint),
        put(`${prefixes.job}${jobId}#${at}#${runId}`, restorePoint),
        // The restore point before this one put the same rows.
        ...(isUnchanged
          ? []
          : [put(`${prefixes.held}${sourceId}`, { sourceId }), put(`${prefixes.manifest}${manifest.id}`, manifest)]),
      ];
    },
  },
};
