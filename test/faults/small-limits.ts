/** Small limits, so that few files make several pages, steps and batches. */
import type { Limits } from '../../processors/deployment.ts';

export const smallLimits: Limits = { page: 4, pagesPerStep: 2, batchItems: 7, batchBytes: 128 * 1024 };
