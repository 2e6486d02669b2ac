/** Sizes of the steps of a run. */
export type Limits = {
  /** Items of one listing page. */
  page: number;
  /** The plan saves its position after this many pages, or sooner when batches are full. */
  pagesPerStep: number;
  /** A batch is full at this many items … */
  batchItems: number;
  /** … or at this many bytes. */
  batchBytes: number;
  /** Items of a listing that are sorted in memory. */
  sortItems: number;
  /** A run checks that all packs are stored if the last check is older (ms). */
  packCheckMs: number;
  /** A store saves a checkpoint after it has read this many bytes … */
  checkpointBytes: number;
  /** … or after this time (ms). */
  checkpointMs: number;
  /** The reading of a file from this size on can go on in its middle. */
  resumableBytes: number;
};

export const defaultLimits: Limits = {
  page: 1000,
  pagesPerStep: 20,
  batchItems: 1000,
  batchBytes: 64 * 1024 * 1024,
  sortItems: 100_000,
  packCheckMs: 3600_000,
  // A crash loses at most two of these and a few frames, which is less than 256 MiB.
  checkpointBytes: 112 * 1024 * 1024,
  checkpointMs: 60_000,
  resumableBytes: 256 * 1024 * 1024,
};
