/**
 * Files as they were backed up. Not a row a file: the manifests are the model, sorted and shared between runs; rows only say which
 * manifest holds which moment of a source (files/listing.ts reads them).
 */
import type { ManifestRef } from '../domain/line.ts';
import type { JsonObject, RowChange } from '../domain/ports.ts';
import { accountOf, type Projection } from './projection.ts';

/** A good backup of a source: the manifest it is in. */
export type Moment = { sourceId: string; jobId: string; runId: string; at: string; manifest: ManifestRef };

/** In the order of time below each prefix. `held`: which sources have a backup at all; `manifest`: the hash of each by its id. */
export const prefixes = { source: 'source#', job: 'job#', held: 'held#', manifest: 'manifest#' };

export const files: Projection = {
  name: 'files',
  version: 2,
  streams: ['line'],
  on: {
    LineSealed: (event) => {
      const { sourceId, jobId, runId, manifest, line } = event.data;
      const at = line.sealed?.at ?? event.at;
      const moment: Moment = { sourceId, jobId, runId, at, manifest };
      // Each is said by this event alone, and never otherwise.
      const put = (sk: string, data: JsonObject): RowChange => ({ op: 'put', table: 'files', pk: accountOf(event), sk, data, ahead: true });
      return [
        put(`${prefixes.source}${sourceId}#${at}#${runId}`, moment),
        put(`${prefixes.job}${jobId}#${at}#${runId}`, moment),
        put(`${prefixes.held}${sourceId}`, { sourceId }),
        put(`${prefixes.manifest}${manifest.id}`, manifest),
      ];
    },
  },
};
