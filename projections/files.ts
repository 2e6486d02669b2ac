/**
 * Files as they were backed up. Not a row a file: the manifests are the model, sorted and shared between runs; rows only say which
 * manifest holds which moment of a source (files/listing.ts reads them).
 */
import type { ManifestRef } from '../domain/backup-chain.ts';
import type { JsonObject, RowChange } from '../domain/ports.ts';
import { accountOf, type Projection } from './engine/projection.ts';

/** A good backup of a source: the manifest it is in. */
export type RestorePoint = { sourceId: string; jobId: string; runId: string; at: string; manifest: ManifestRef };

/** In the order of time below each prefix. `held`: which sources have a backup at all; `manifest`: the hash of each by its id. */
export const prefixes = { source: 'source#', job: 'job#', held: 'held#', manifest: 'manifest#' };

export const files: Projection = {
  name: 'files',
  version: 2,
  streams: ['backup-chain'],
  on: {
    RestorePointCreated: (event) => {
      const { sourceId, jobId, runId, manifest, backupChain } = event.data;
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
        put(`${prefixes.held}${sourceId}`, { sourceId }),
        put(`${prefixes.manifest}${manifest.id}`, manifest),
      ];
    },
  },
};
