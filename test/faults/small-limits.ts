/** Small limits, so that few files make several pages, steps and batches. */
import type { Limits } from '../../processors/limits.ts';

export const smallLimits: Limits = {
  ...{ page: 4, pagesPerStep: 2, batchItems: 7, batchBytes: 128 * 1024 },
  ...{ sortItems: 10, packCheckMs: 0 },
  ...{ checkpointBytes: 1024 * 1024, checkpointMs: 60_000, resumableBytes: 1024 * 1024 },
};
